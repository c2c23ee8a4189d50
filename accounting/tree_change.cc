#include "accounting/tree_change.h"

#include "accounting/group_table.h"
#include "accounting/recount.h"

namespace umemcg {
namespace {
constexpr auto kRelaxed = std::memory_order_relaxed;
}  // namespace

// The mark and what it covers are ordered by the lock.
TreeChange::TreeChange(Segment& segment, uint32_t wait_ms)
    : segment_(segment), held_(segment.lock(wait_ms)) {
  if (!held_) return;
  SegmentHeader& header = segment.header();
  if (header.changing.exchange(1, kRelaxed) != 0) {
    rebuild_group_table(segment);
    header.recount_due.store(1, kRelaxed);
  }
  recount_if_due(segment);
}

TreeChange::~TreeChange() {
  if (!held_) return;
  segment_.header().changing.store(0, kRelaxed);
  segment_.unlock();
}

}  // namespace umemcg
