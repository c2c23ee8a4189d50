// try_charge_memcg in its two halves. The fast half here runs in the commit
// hook: it charges or refuses, and never sleeps, calls back or allocates. What
// it refused is kept in a record for the slow half (reclaim/charge.h), which
// runs where freeing and collecting are allowed.
#pragma once

#include <cstdint>

#include "accounting/account.h"
#include "base/attributes.h"
#include "base/hook.h"
#include "stock/stock.h"

namespace umemcg {

// A refusal that waits for the slow half. While it is armed, the hook refuses
// at once: the allocator asks again in every range it has.
struct ChargeRecord {
  bool armed = false;
  Account* account = nullptr;
  PageCounter* failed = nullptr;  // the counter that refused
  uint32_t pages = 0;             // the request
  int saved_errno = 0;            // of the program, before the refusal
};
extern constinit UMEMCG_TLS ChargeRecord t_charge_record;

// The slow half: reclaim/ installs it. It disarms the record.
extern constinit Hook<void()> g_charge_slow_hook;

// Charges `pages` through the stock; false with the counter that refused.
// failcnt is not counted here: the slow half does, once per allocation.
UMEMCG_COLD bool try_charge_slow(Account& account, uint32_t pages,
                                 PageCounter** failed);

UMEMCG_FAST bool try_charge(Account& account, uint32_t pages,
                            PageCounter** failed) {
  if (UMEMCG_LIKELY(consume_stock(account, pages))) return true;
  return try_charge_slow(account, pages, failed);
}

}  // namespace umemcg
