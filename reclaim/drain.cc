#include "reclaim/drain.h"

#include "accounting/lease.h"
#include "accounting/stock_word.h"
#include "base/probe.h"
#include "stock/obj_stock.h"

namespace umemcg {
namespace {
constexpr uint32_t kWaitMs = 10;
// Far longer than a drain of all lines takes.
constexpr uint32_t kMostMs = 50;
}  // namespace

// The lease only keeps threads from going over the same lines together. Who
// could not have it drains all the same: what is drained is taken by
// compare-and-swap.
int64_t drain_stocks(uint32_t group, Waiting waiting) {
  const uint32_t wait_ms = waiting == Waiting::kMay ? kWaitMs : 0;
  Lease lease(g_segment, g_segment.header().drain_lease, wait_ms, kMostMs);
  drain_objects(group);
  const int64_t pages = drain_all_stock(g_segment, group);
  UMEMCG_PROBE2(drain, group, pages);
  return pages;
}

}  // namespace umemcg
