// Whom the calling thread charges, and how.
#pragma once

#include "accounting/account.h"
#include "base/attributes.h"

namespace umemcg {

struct ThreadContext {
  Account* account = nullptr;  // null: the process's
  // Charges go over the limits rather than fail: the allocator's own records,
  // and our own way out of a failure.
  bool no_fail = false;
  // The thread's stock has been given back; what it still allocates is
  // charged exactly, to the process's group.
  bool exiting = false;
};

extern constinit UMEMCG_TLS ThreadContext t_context;
extern constinit std::atomic<Account*> g_process_account;
// The root group's: what the allocator needs for itself is charged there. Null
// until the process is accounted.
extern constinit std::atomic<Account*> g_records_account;

// Null before the process has an account.
UMEMCG_FAST Account* current_account() {
  Account* account = t_context.account;
  // acquire: pairs with set_accounts().
  return account != nullptr ? account
                            : g_process_account.load(std::memory_order_acquire);
}

inline Account* records_account() {
  // acquire: pairs with set_accounts().
  return g_records_account.load(std::memory_order_acquire);
}

inline void set_accounts(Account* process, Account* records) {
  g_process_account.store(process, std::memory_order_release);
  g_records_account.store(records, std::memory_order_release);
}

// Charges `account` in this scope, whatever the limits say.
class NoFailScope {
 public:
  explicit NoFailScope(Account* account) : saved_(t_context) {
    t_context.account = account;
    t_context.no_fail = true;
  }
  ~NoFailScope() {
    t_context.account = saved_.account;
    t_context.no_fail = saved_.no_fail;
  }
  NoFailScope(const NoFailScope&) = delete;
  NoFailScope& operator=(const NoFailScope&) = delete;

 private:
  ThreadContext saved_;
};

}  // namespace umemcg
