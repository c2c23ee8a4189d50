// memory.reclaim.stat: what reclaim for this group's limits looked at and got
// back, by source, cheapest first. Not in the kernel: there it is one LRU.

#include "accounting/control_rows.h"

namespace umemcg::control {

void show_reclaim_stat(Segment& segment, uint32_t group, TextBuffer& out) {
  constexpr auto kRelaxed = std::memory_order_relaxed;
  const Group& row = *segment.group(group);
  for (int i = 0; i < kSources; ++i) {
    const SourceCounts& source = row.sources[i];
    out.text(kSourceNames[i]).text(" scanned=");
    out.number(source.scanned.load(kRelaxed) << kPageShift);
    out.text(" reclaimed=");
    out.number(source.reclaimed.load(kRelaxed) << kPageShift);
    out.text(" usec=").number(source.ns.load(kRelaxed) / 1000).character('\n');
  }
}

}  // namespace umemcg::control
