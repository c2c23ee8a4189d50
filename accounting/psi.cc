#include "accounting/psi.h"

#include "accounting/gate.h"
#include "accounting/mem_cgroup.h"
#include "accounting/notify.h"
#include "accounting/psi_average.h"
#include "accounting/psi_look.h"
#include "accounting/stat_line.h"
#include "base/fault_point.h"
#include "base/sys.h"

namespace umemcg {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
// After so long without a stall, those who wait for a trigger look less often
// (psi_trigger.h), and are told of the next.
constexpr uint64_t kTellAfterUs = 20'000;

uint64_t now_us() { return sys::monotonic_ns() / 1000; }

// Calls with the row of the group and of each one above it.
template <typename Function>
void for_levels(Segment& segment, uint32_t group, Function function) {
  for (int level = 0; level <= kMaxDepth && group != kNone; ++level) {
    Group* row = segment.group(group);
    if (row == nullptr) return;
    function(*row);
    group = parent_group(segment, group);
  }
}

// REQUIRES: a charge section (or the segment's lock): who dies in the middle
// leaves a recount.
bool count_stalled(Segment& segment, uint32_t group, int by) {
  const uint64_t now = now_us();
  bool tell = false;
  for_levels(segment, group, [&](Group& row) {
    psi_settle(segment, row.psi, now);
    const PsiWord before = psi_add_stalled(row.psi, now, by);
    fault_point("a stall is counted at some levels");
    tell |= before.stalled() == 0 && now - before.since_us() > kTellAfterUs &&
            row.psi.triggers.load(kRelaxed) != 0;
  });
  return tell;
}

// Seen online within a section: it stays, and then for those that are counted
// in it (see may_be_free() in group_table.cc).
uint32_t nearest_online(Segment& segment, uint32_t group) {
  for (int level = 0; level <= kMaxDepth && group != kNone; ++level) {
    if (group_online(segment, group)) return group;
    group = parent_group(segment, group);
  }
  return kRootGroup;
}

}  // namespace

MemstallScope::MemstallScope(uint32_t group) {
  StockLine* line = thread_line();
  if (line == nullptr || line->stalled.load(kRelaxed) != 0 ||
      g_segment.group(group) == nullptr) {
    return;
  }
  // Before this thread counts: what is found holds from the beginning.
  psi_look(g_segment, group, now_us());
  bool tell;
  {
    ChargeSection section;
    group = nearest_online(g_segment, group);
    line->stalled.store(group + 1, kRelaxed);
    fault_point("a line stalls, its groups do not");
    tell = count_stalled(g_segment, group, +1);
  }
  line_ = line;
  if (tell) notify_listeners(g_segment);
}

// (In the child of a fork the line may be the parent's.)
MemstallScope::~MemstallScope() {
  if (line_ == nullptr || line_ != thread_line()) return;
  const uint32_t group = line_->stalled.load(kRelaxed) - 1;
  if (g_segment.group(group) != nullptr) psi_look(g_segment, group, now_us());
  ChargeSection section;
  psi_forget_line(g_segment, *line_);
}

void psi_forget_line(Segment& segment, StockLine& line) {
  const uint32_t group = line.stalled.load(kRelaxed) - 1;
  if (segment.group(group) != nullptr) count_stalled(segment, group, -1);
  fault_point("a line stalls still, its groups do not");
  line.stalled.store(0, kRelaxed);
}

void psi_correct(Segment& segment, uint32_t group, int by) {
  Group* row = segment.group(group);
  if (row == nullptr || by == 0) return;
  const uint64_t now = now_us();
  psi_settle(segment, row->psi, now);
  psi_add_stalled(row->psi, now, by);
}

void psi_update(Segment& segment, uint32_t group, uint64_t now_ns) {
  Group* row = segment.group(group);
  if (row == nullptr) return;
  const uint64_t now = now_ns / 1000;
  if (psi_stalled(row->psi) != 0) psi_look(segment, group, now);
  psi_settle(segment, row->psi, now);
}

void psi_set_enabled(Segment& segment, uint32_t group, bool enabled) {
  Group* row = segment.group(group);
  if (row == nullptr) return;
  psi_settle(segment, row->psi, now_us());
  row->psi.disabled.store(enabled ? 0 : 1, kRelaxed);
}

bool psi_enabled(Segment& segment, uint32_t group) {
  const Group* row = segment.group(group);
  return row != nullptr && row->psi.disabled.load(kRelaxed) == 0;
}

}  // namespace umemcg
