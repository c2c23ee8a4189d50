#include "accounting/event.h"

#include "accounting/mem_cgroup.h"

namespace umemcg {

void memcg_memory_event(Segment& segment, uint32_t group, Event event) {
  const int index = static_cast<int>(event);
  Group* row = segment.group(group);
  if (row == nullptr) return;
  row->events_local[index].fetch_add(1, std::memory_order_relaxed);
  for (int level = 0; level <= kMaxDepth; ++level) {
    if (group == kNone || group == kRootGroup) break;
    segment.group(group)->events[index].fetch_add(1, std::memory_order_relaxed);
    group = parent_group(segment, group);
  }
}

}  // namespace umemcg
