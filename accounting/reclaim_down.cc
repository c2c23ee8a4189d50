#include "accounting/reclaim_down.h"

#include "accounting/control_rows.h"
#include "accounting/reclaim_request.h"
#include "accounting/stock_word.h"
#include "accounting/tree_change.h"
#include "base/sys.h"

namespace umemcg {
namespace {

constexpr uint64_t kPauseNs = 5'000'000;

}  // namespace

void drain_subtree(Segment& segment, uint32_t group) {
  // A caller that is not in the segment has no mark of its own: the lock's
  // tells of it when it is killed here.
  TreeChange change(segment);
  if (change.held()) drain_all_stock(segment, group);
}

int64_t reclaim_round(Segment& segment, uint32_t group, int64_t pages,
                      bool proactive) {
  const PageCounter& counter = segment.group(group)->memory;
  const int64_t before = counter.usage();
  const int64_t got = g_reclaim_hook(segment, group, pages, proactive);
  if (got > 0) return got;
  if (!segment.is_private()) sys::sleep_ns(kPauseNs);
  const int64_t fell = before - counter.usage();
  return fell > 0 ? fell : 0;
}

bool reclaim_down(Segment& segment, uint32_t group, int64_t limit,
                  const Writer& writer) {
  const PageCounter& counter = segment.group(group)->memory;
  if (counter.usage() <= limit) return true;
  if (control::why_to_stop(segment, group, writer) != 0) return false;
  drain_subtree(segment, group);
  int fruitless = 0;
  for (int round = 0;
       round < kMostReclaimRounds && fruitless < kMaxReclaimRetries; ++round) {
    const int64_t over = counter.usage() - limit;
    if (over <= 0) return true;
    if (control::why_to_stop(segment, group, writer) != 0) return false;
    if (reclaim_round(segment, group, over, false) == 0) ++fruitless;
  }
  return counter.usage() <= limit;
}

}  // namespace umemcg
