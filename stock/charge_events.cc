#include "stock/charge_events.h"

#include "accounting/mem_cgroup.h"
#include "accounting/notify.h"
#include "accounting/reclaim_request.h"
#include "stock/current.h"

namespace umemcg {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

bool is_over_high(const Group& group) {
  const int64_t high = group.high.load(kRelaxed);
  return UMEMCG_UNLIKELY(high != kPageCounterMax) &&
         group.memory.usage() > high;
}

// What a batch owes, to be paid outside the allocator.
UMEMCG_COLD void owe(Account& account, uint32_t pages) {
  const uint32_t owed = t_context.over_high;
  t_context.over_high = owed + pages < owed ? UINT32_MAX : owed + pages;
  t_context.over_high_account = &account;
  g_charge_event_hook();
}

}  // namespace

constinit Hook<void()> g_charge_event_hook{[] {}};

void charge_events(Account& account, uint32_t pages) {
  bool over = false;
  uint32_t group = account.charged.load(kRelaxed);
  threshold_events(g_segment, group, pages);
  if (UMEMCG_UNLIKELY(reclaim_requested_here())) g_charge_event_hook();
  for (int level = 0; level <= kMaxDepth && group != kRootGroup; ++level) {
    const Group* row = g_segment.group(group);
    if (row == nullptr) break;
    if (is_over_high(*row)) {
      over = true;
      break;
    }
    group = parent_group(g_segment, group);
  }
  if (UMEMCG_UNLIKELY(over)) {
    owe(account, pages);
  } else if (UMEMCG_UNLIKELY(account.throttled_ns.load(kRelaxed) != 0)) {
    // Below high: what it has slept so far is forgotten (reclaim/throttle.h).
    account.throttled_ns.store(0, kRelaxed);
  }
}

}  // namespace umemcg
