#include "accounting/tree_change.h"

#include "accounting/group_table.h"
#include "accounting/recount.h"
#include "base/attributes.h"

namespace umemcg {
namespace {
constexpr auto kRelaxed = std::memory_order_relaxed;
// The segment whose lock the thread holds.
constinit UMEMCG_TLS const Segment* t_changing = nullptr;
}  // namespace

// The mark and what it covers are ordered by the lock.
TreeChange::TreeChange(Segment& segment, uint32_t wait_ms)
    : segment_(segment),
      nested_(t_changing == &segment),
      held_(nested_ || segment.lock(wait_ms)) {
  if (!held_ || nested_) return;
  t_changing = &segment;
  SegmentHeader& header = segment.header();
  if (header.changing.exchange(1, kRelaxed) != 0) {
    rebuild_group_table(segment);
    header.recount_due.store(1, kRelaxed);
  }
  if (header.recount_due.load(kRelaxed) != 0) recount(segment);
}

TreeChange::~TreeChange() {
  if (!held_ || nested_) return;
  t_changing = nullptr;
  segment_.header().changing.store(0, kRelaxed);
  segment_.unlock();
}

}  // namespace umemcg
