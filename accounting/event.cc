#include "accounting/event.h"

#include <cerrno>

#include "accounting/mem_cgroup.h"
#include "base/news.h"
#include "base/sys.h"

namespace umemcg {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

// A waiter that was not told of the group's end (its remover was killed) finds
// out by itself.
constexpr uint64_t kLookAgainNs = 1'000'000'000;

constexpr uint64_t as_generation(uint32_t sequence) {
  return uint64_t{1} << 32 | sequence;
}

}  // namespace

void wake_event_waiters(Group& group) {
  tell_news(group.event_seq, group.event_waiters);
}

void memcg_memory_event(Segment& segment, uint32_t group, Event event) {
  const int index = static_cast<int>(event);
  Group* row = segment.group(group);
  if (row == nullptr) return;
  row->events_local[index].fetch_add(1, kRelaxed);
  for (int level = 0; level <= kMaxDepth && group != kNone; ++level) {
    row = segment.group(group);
    if (group != kRootGroup) row->events[index].fetch_add(1, kRelaxed);
    wake_event_waiters(*row);
    group = parent_group(segment, group);
  }
}

uint64_t event_generation(Segment& segment, uint32_t group) {
  // acquire: pairs with wake_event_waiters(), so counts are seen.
  return as_generation(
      segment.group(group)->event_seq.load(std::memory_order_acquire));
}

int wait_for_event(Segment& segment, uint32_t group, uint64_t id, uint64_t seen,
                   uint64_t timeout_ns) {
  Group& row = *segment.group(group);
  const uint64_t since = sys::monotonic_ns();
  for (;;) {
    if (group_id(segment, group) != id || !group_online(segment, group)) {
      return ENODEV;
    }
    if (event_generation(segment, group) != seen) return 0;
    const uint64_t waited = sys::monotonic_ns() - since;
    if (waited >= timeout_ns) return ETIMEDOUT;
    const uint64_t left = timeout_ns - waited;
    const int error = wait_for_news(row.event_seq, row.event_waiters,
                                    static_cast<uint32_t>(seen),
                                    left < kLookAgainNs ? left : kLookAgainNs);
    if (error == EINTR) return EINTR;
  }
}

}  // namespace umemcg
