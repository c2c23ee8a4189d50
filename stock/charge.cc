#include "stock/charge.h"

#include "accounting/gate.h"
#include "accounting/victim.h"
#include "base/fault_point.h"
#include "stock/charge_events.h"
#include "stock/current.h"
#include "stock/fail.h"

namespace umemcg {

namespace {

using Limit = PageCounter::Limit;

void refuse() { t_charge_record.armed = false; }

// In a callback of reclaim nothing is reclaimed, and the allocator, which has
// called back already, does not do so again: it is the reserve, what is forced
// for a process whose callback has called exit(), or nothing.
bool charge_in_reclaim(Account& account, uint32_t pages, PageCounter** failed) {
  if (account_try_charge(account, pages, failed, Limit::kMaxAndReserve,
                         false)) {
    charge_events(account, pages);
    return true;
  }
  if (!may_force_charge(pages)) return false;
  account_charge(account, pages);
  return true;
}

}  // namespace

constinit UMEMCG_TLS ChargeRecord t_charge_record;
constinit Hook<void()> g_charge_slow_hook{refuse};

bool try_charge_slow(Account& account, uint32_t pages, PageCounter** failed) {
  const bool injects = injecting() && !t_context.no_fail;
  if (UMEMCG_UNLIKELY(injects) && inject_failure(account)) {
    *failed = nullptr;  // nobody's limit: nothing is to be purged for it
    return false;
  }
  if (thread_line() == nullptr && !t_context.exiting) {
    acquire_line();
  }
  // In one section, from the look whether the group is pressed to the refill:
  // who waits for sections to end finds the rest of a batch in a stock
  // (press.h). And a charge waits for one recount at most.
  ChargeSection section;
  if (thread_line() != nullptr && UMEMCG_LIKELY(!injects)) {
    const uint32_t batch = batch_size(account);
    if (batch > pages &&
        account_try_charge(account, batch, failed, Limit::kMax, false)) {
      fault_point("between charge and refill");
      refill_stock(account, batch - pages);
      charge_events(account, batch);
      return true;
    }
  }
  if (UMEMCG_UNLIKELY(t_context.reclaiming)) {
    return charge_in_reclaim(account, pages, failed);
  }
  if (!account_try_charge(account, pages, failed, Limit::kMax, false)) {
    return false;
  }
  charge_events(account, pages);
  return true;
}

}  // namespace umemcg
