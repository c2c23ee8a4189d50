#include "stock/charge.h"

#include "stock/current.h"

namespace umemcg {

namespace {
void refuse() { t_charge_record.armed = false; }
}  // namespace

constinit UMEMCG_TLS ChargeRecord t_charge_record;
constinit Hook<void()> g_charge_slow_hook{refuse};

bool try_charge_slow(Account& account, uint32_t pages, PageCounter** failed) {
  using Limit = PageCounter::Limit;
  if (thread_line() == nullptr && !t_context.exiting) {
    acquire_line();
  }
  uint32_t batch = thread_line() != nullptr ? batch_size(account) : 0;
  if (batch > pages &&
      account_try_charge(account, batch, failed, Limit::kMax, false)) {
    refill_stock(account, batch - pages);
    return true;
  }
  return account_try_charge(account, pages, failed, Limit::kMax, false);
}

}  // namespace umemcg
