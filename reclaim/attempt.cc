#include "reclaim/attempt.h"

#include "accounting/gate.h"
#include "base/sys.h"
#include "stock/charge.h"
#include "stock/charge_events.h"
#include "stock/current.h"
#include "stock/fail.h"
#include "stock/obj_stock.h"

namespace umemcg {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
// The most that the reserve serves at once: one small page of mimalloc.
constexpr int64_t kSmallRequest = 16;
// How long after a refusal the reserve is open.
constexpr uint64_t kReserveWindowMs = 2000;

// The pages are charged to the group: to the kind's counter as well, or not at
// all.
bool charge_kind(ChargeRequest& request) {
  if (part_of(request.kind) == kPlainPart) return true;
  Account& account = *request.account;
  PageCounter* failed = nullptr;
  if (account_try_charge_kind(account, request.kind, request.pages, &failed)) {
    return true;
  }
  if (request.may(kChargeNoFail)) {
    account_charge_kind(account, request.kind, request.pages);
    return true;
  }
  account_uncharge(account, request.pages);
  request.kind_refused = true;
  return false;
}

bool charge_few(ChargeRequest& request) {
  return try_charge(*request.account, static_cast<uint32_t>(request.pages),
                    &request.failed);
}

bool reserve_is_open(uint32_t group) {
  if (t_context.reclaiming) return true;
  const uint64_t refused = g_segment.group(group)->refused_ms.load(kRelaxed);
  return refused != 0 && sys::coarse_ms() - refused <= kReserveWindowMs;
}

}  // namespace

bool charge_exactly(ChargeRequest& request) {
  ChargeSection section;
  if (!account_try_charge(*request.account, request.pages, &request.failed,
                          PageCounter::Limit::kMax, false) ||
      !charge_kind(request)) {
    return false;
  }
  charge_events(*request.account, static_cast<uint32_t>(request.pages));
  return true;
}

bool charge_through_stock(ChargeRequest& request) {
  if (request.pages > kChargeBatch) {
    if (UMEMCG_UNLIKELY(injecting()) && inject_failure(*request.account)) {
      request.failed = nullptr;
      return false;
    }
    return charge_exactly(request);
  }
  if (part_of(request.kind) == kPlainPart) return charge_few(request);
  // Not within the section: it calls back.
  if (thread_line() == nullptr && !t_context.exiting) acquire_line();
  ChargeSection section;
  return charge_few(request) && charge_kind(request);
}

// The reserve is refilled first, since nothing is charged within max until
// usage is back below it.
bool charge_reserve(ChargeRequest& request, uint32_t group) {
  if (!request.reserve || request.pages > kSmallRequest ||
      !reserve_is_open(group)) {
    return false;
  }
  PageCounter* failed;
  return account_try_charge(*request.account, request.pages, &failed,
                            PageCounter::Limit::kMaxAndReserve, false);
}

bool force_charge(ChargeRequest& request) {
  const int64_t all = g_segment.group(kRootGroup)->memory.usage();
  if (request.kind_refused || request.pages > kPageCounterMax - all) {
    return false;
  }
  ChargeSection section;
  account_charge(*request.account, request.pages);
  return charge_kind(request);
}

bool may_fit(const ChargeRequest& request, uint32_t* group) {
  if (request.kind_refused) return false;
  *group = g_segment.group_of(request.failed);
  return *group != kNone && request.pages <= request.failed->max();
}

}  // namespace umemcg
