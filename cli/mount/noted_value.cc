#include "cli/mount/noted_value.h"

#include "accounting/event.h"
#include "accounting/freezer.h"
#include "accounting/live_processes.h"
#include "accounting/mem_cgroup.h"

namespace umemcg::cgroupfs {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

// Counts only go up.
uint64_t sum(const std::atomic<uint64_t> (&counts)[kEvents]) {
  uint64_t total = 0;
  for (const auto& count : counts) total += count.load(kRelaxed);
  return total;
}

}  // namespace

bool notifies(const Node& node) {
  return is_named(node, "memory.events") ||
         is_named(node, "memory.events.local") ||
         is_named(node, "cgroup.events");
}

const std::vector<bool>& NotedValues::populated() {
  if (populated_) return *populated_;
  populated_.emplace(g_segment.groups_used());
  const LiveProcesses live(g_segment);
  for (uint32_t i = 0; i < g_segment.processes_used(); ++i) {
    if (!live.has(i)) continue;
    uint32_t group = g_segment.process(i)->group.load(kRelaxed);
    for (int level = 0; level <= kMaxDepth; ++level) {
      if (group >= populated_->size() || (*populated_)[group]) break;
      (*populated_)[group] = true;
      group = parent_group(g_segment, group);
    }
  }
  return *populated_;
}

uint64_t NotedValues::of(const Node& node) {
  if (!online(node)) return 0;
  const Group& group = *g_segment.group(node.group);
  if (is_named(node, "memory.events")) return sum(group.events);
  if (is_named(node, "memory.events.local")) return sum(group.events_local);
  const std::vector<bool>& all = populated();
  const bool inside = node.group < all.size() && all[node.group];
  const bool frozen =
      is_frozen(g_segment, node.group) && all_stopped(g_segment, node.group);
  return uint64_t{inside} << 1 | uint64_t{frozen};
}

}  // namespace umemcg::cgroupfs
