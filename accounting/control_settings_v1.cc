// What else there is by the names of cgroup v1: settings, tasks, and what only
// an open file can have.

#include <cerrno>
#include <cstring>

#include "accounting/control_rows.h"
#include "accounting/mem_cgroup.h"
#include "accounting/oom_policy.h"
#include "accounting/parse_number.h"
#include "accounting/tree_change.h"
#include "base/sys.h"

namespace umemcg::control {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr uint64_t kMostSwappiness = 200;
// Who waits for room says so every 10 ms, and between rounds of reclaim.
constexpr uint64_t kWaitingMs = 2000;

OomPolicy policy_of(const Group& row) {
  // acquire: pairs with set_oom_policy().
  return row.oom_policy.load(std::memory_order_acquire);
}

// Waiting for as long as may be: the kernel's waits without end.
int wait_when_oom(Group& row) {
  if (policy_of(row) == OomPolicy::kWait) return 0;
  Text<32> longest;
  longest.text("wait ").number(kMostOomWaitMs);
  return set_oom_policy(row, longest.c_str());
}

// Back to what a group made here now would have.
int not_wait_when_oom(Segment& segment, uint32_t group, Group& row) {
  if (policy_of(row) != OomPolicy::kWait) return 0;
  const Group* above = segment.group(parent_group(segment, group));
  if (above == nullptr || policy_of(*above) == OomPolicy::kWait) {
    return set_oom_policy(row, "kill");
  }
  Text<32> inherited;
  print_oom_policy(*above, inherited);
  return set_oom_policy(row, inherited.c_str());
}

// mem_cgroup_mark_under_oom marks the subtree.
bool under_oom(Segment& segment, uint32_t group) {
  const uint64_t now = sys::coarse_ms();
  for (int level = 0; level <= kMaxDepth && group != kNone; ++level) {
    const Group* row = segment.group(group);
    if (row == nullptr) return false;
    const uint64_t since = row->waiting_ms.load(kRelaxed);
    if (since != 0 && now - since < kWaitingMs) return true;
    group = parent_group(segment, group);
  }
  return false;
}

// A setting of which one value alone is left.
int store_only(const char* value, uint64_t only) {
  uint64_t number;
  const int error = parse_u64(value, &number);
  if (error != 0) return error;
  return number == only ? 0 : EINVAL;
}

}  // namespace

void show_oom_control(Segment& segment, uint32_t group, TextBuffer& out) {
  const Group& row = *segment.group(group);
  const auto kills = static_cast<int>(Event::kOomKill);
  out.text("oom_kill_disable ").number(policy_of(row) == OomPolicy::kWait);
  out.text("\nunder_oom ").number(under_oom(segment, group));
  out.text("\noom_kill ").number(row.events[kills].load(kRelaxed));
  out.character('\n');
}

int store_oom_control(Segment& segment, uint32_t group, const char* value,
                      const Writer&) {
  uint64_t number;
  const int error = parse_u64(value, &number);
  if (error != 0) return error;
  Group& row = *segment.group(group);
  if (number > 1) return EINVAL;
  return number == 1 ? wait_when_oom(row)
                     : not_wait_when_oom(segment, group, row);
}

void show_swappiness(Segment& segment, uint32_t group, TextBuffer& out) {
  out.number(segment.group(group)->swappiness.load(kRelaxed)).character('\n');
}

int store_swappiness(Segment& segment, uint32_t group, const char* value,
                     const Writer&) {
  uint64_t number;
  const int error = parse_u64(value, &number);
  if (error != 0) return error;
  if (number > kMostSwappiness) return EINVAL;
  segment.group(group)->swappiness.store(static_cast<uint32_t>(number),
                                         kRelaxed);
  return 0;
}

// Charges never move with a process.
void show_move_charge(Segment&, uint32_t, TextBuffer& out) { out.text("0\n"); }

int store_move_charge(Segment&, uint32_t, const char* value, const Writer&) {
  return store_only(value, 0);
}

void show_use_hierarchy(Segment&, uint32_t, TextBuffer& out) {
  out.text("1\n");
}

int store_use_hierarchy(Segment&, uint32_t, const char* value, const Writer&) {
  return store_only(value, 1);
}

void show_notify_on_release(Segment& segment, uint32_t group, TextBuffer& out) {
  const Group& row = *segment.group(group);
  out.number(row.notify_on_release.load(kRelaxed)).character('\n');
}

int store_notify_on_release(Segment& segment, uint32_t group, const char* value,
                            const Writer&) {
  uint64_t number;
  const int error = parse_u64(value, &number);
  if (error != 0) return error;
  segment.group(group)->notify_on_release.store(number != 0, kRelaxed);
  return 0;
}

void show_release_agent(Segment& segment, uint32_t, TextBuffer& out) {
  for (const auto& byte : segment.header().release_agent) {
    const char c = byte.load(kRelaxed);
    if (c == '\0') break;
    out.character(c);
  }
  out.character('\n');
}

int store_release_agent(Segment& segment, uint32_t, const char* value,
                        const Writer&) {
  auto& agent = segment.header().release_agent;
  const size_t length = std::strlen(value);
  if (length >= sizeof(agent)) return EINVAL;
  TreeChange change(segment);
  if (!change.held()) return EAGAIN;
  for (size_t i = 0; i <= length; ++i) agent[i].store(value[i], kRelaxed);
  return 0;
}

int needs_open_file(Segment&, uint32_t, const char*, const Writer&) {
  return EOPNOTSUPP;
}

}  // namespace umemcg::control
