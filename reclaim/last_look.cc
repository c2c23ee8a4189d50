#include "reclaim/last_look.h"

#include "accounting/gate.h"
#include "base/sys.h"
#include "reclaim/attempt.h"
#include "reclaim/drain.h"
#include "stock/current.h"
#include "stock/press.h"
#include "stock/stock.h"

namespace umemcg {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
// How long those in the middle of a charge are waited for, in all.
constexpr uint64_t kWaitForChargersNs = 100'000'000;
// Last looks that have to agree. One is a proof for a single limit; an attempt
// that fails at a higher one may have filled a lower one for a moment.
constexpr int kLastLooks = 3;
// Of which another counter refused, or that took too long, in all.
constexpr int kMostLooks = 64;

// Until the mark has been seen clear. seq_cst: pairs with ChargeSection.
void wait_for_mark(const std::atomic<uint32_t>& mark, uint64_t deadline) {
  for (int round = 0; mark.load(std::memory_order_seq_cst) != 0; ++round) {
    if (sys::monotonic_ns() >= deadline) return;
    sys::pause(round);
  }
}

// Whoever was in the middle of a charge, or of giving pages back, has ended it.
void wait_for_chargers(uint64_t deadline) {
  for (uint32_t i = 0; i < g_segment.lines_used(); ++i) {
    const StockLine& line = *g_segment.line(i);
    if (line.owner.load(kRelaxed) != 0) wait_for_mark(line.busy, deadline);
  }
  for (uint32_t i = 0; i < g_segment.processes_used(); ++i) {
    wait_for_mark(g_segment.process(i)->busy, deadline);
  }
}

// Whether more is missing than can be charged ahead: then it does not matter
// what is.
bool beyond_stocks(const ChargeRequest& request) {
  const int64_t ahead =
      int64_t{g_segment.lines_used()} * (kStockSlots + 1) * kChargeBatch;
  return request.pages - request.failed->margin() > ahead;
}

}  // namespace

bool last_look(ChargeRequest& request) {
  // A handler in the middle of its own thread's charge would wait for itself.
  const bool waits = !request.may(kChargeNoWait) && t_charge_depth == 0;
  const Waiting waiting = waits ? Waiting::kMay : Waiting::kMayNot;
  const uint64_t now = sys::monotonic_ns();
  if (request.looks_until_ns == 0) {
    request.looks_until_ns = now + kWaitForChargersNs;
  }
  const uint64_t deadline = waits ? request.looks_until_ns : 0;
  int looks = 0;
  for (int tries = 0; looks < kLastLooks && tries < kMostLooks; ++tries) {
    uint32_t group = kNone;
    if (!may_fit(request, &group) || beyond_stocks(request)) return false;
    const uint64_t since = press(*g_segment.group(group));
    wait_for_chargers(deadline);
    request.got[Source::kStock] += drain_stocks(group, waiting);
    wait_for_chargers(deadline);
    if (charge_exactly(request)) return true;
    if (!waits) return false;
    const bool same = group == g_segment.group_of(request.failed);
    if (same && press_holds(since)) ++looks;
  }
  return false;
}

}  // namespace umemcg
