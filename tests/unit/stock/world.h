// The world of a test below shim/: a private segment with one process in it,
// and groups and accounts by the handful. Accounts live as long as the process
// does, so every test makes groups of its own and looks at those only.
#pragma once

#include <cstdint>

#include "accounting/account.h"
#include "accounting/segment.h"
#include "stock/current.h"

namespace umemcg {

// Makes the segment, joins it, and sets the process's and the records'
// accounts, once: private memory, or a domain's file.
void start_world();
void start_domain_world();

// A new group below `parent`, limited to `max` pages, without a reserve.
uint32_t new_group(int64_t max = kPageCounterMax, uint32_t parent = kRootGroup);

// This process's account with a new group.
Account& new_account(int64_t max = kPageCounterMax,
                     uint32_t parent = kRootGroup);

// Pages on the group's counter.
int64_t usage(const Account& account);
int64_t group_usage(uint32_t group);
// What this process has charged to it, by its ledger.
int64_t ledger_pages(const Account& account);
// Pages that the calling thread, and all threads, have charged ahead for it.
int64_t own_stock(const Account& account);
int64_t all_stock(const Account& account);
// Pages that reclaim has won for threads that have not come back for them.
int64_t all_reservations(const Account& account);
// A statistic of the account's group, descendants not included.
int64_t stat_of(const Account& account, Stat stat);

// Puts the calling thread back to what a new one is.
void reset_thread();

// The calling thread charges `account` in this scope.
class ChargingScope {
 public:
  explicit ChargingScope(Account& account) : saved_(t_context.account) {
    t_context.account = &account;
  }
  ~ChargingScope() { t_context.account = saved_; }
  ChargingScope(const ChargingScope&) = delete;
  ChargingScope& operator=(const ChargingScope&) = delete;

 private:
  Account* saved_;
};

}  // namespace umemcg
