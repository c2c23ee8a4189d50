// Whom the calling thread charges, and how.
//
// A thread's pages come from the heap of the group that it charges, so the two
// change together (alloc/group_heap.h): `base` is the account whose theap is
// the thread's default one. A thread that has never switched is in the main
// heap, which is the *home* account's: the one the process began with. The
// process may have moved since; the thread follows at its next slow path.
#pragma once

#include "accounting/account.h"
#include "base/attributes.h"

namespace umemcg {

// How charges behave at a limit: the flags of include/umemcg/umemcg.h.
enum ChargeFlag : uint8_t {
  kChargeNoWait = 1,
  kChargeNoRetry = 2,
  kChargeRetryMayFail = 4,
  kChargeNoFail = 8,
};
inline constexpr int kChargeFlags = 15;

struct ThreadContext {
  // Charged now; null: the home account. It differs from `base` within a call
  // that names a group, and while the allocator's own records are made.
  Account* account = nullptr;
  // What the thread was put into; null: it follows the process.
  Account* tag = nullptr;
  // The default theap's; null: the home account's.
  Account* base = nullptr;
  // The scope's, with its generation: nothing else holds on to it.
  Account* active = nullptr;
  uint32_t active_generation = 0;
  // The change of the tree (SegmentHeader::generation) up to which the thread
  // is known to charge where it should.
  uint32_t tree = 0;
  // Charges go over the limits rather than fail: the allocator's own records,
  // and our own way out of a failure.
  bool no_fail = false;
  // The thread's stock has been given back; what it still allocates is
  // charged exactly, to the home account.
  bool exiting = false;
  // Something is to be done before the thread's next allocation
  // (alloc/attention.h).
  bool attention = false;
  // ChargeFlag: umemcg_thread_flags, or a call's own.
  uint8_t flags = 0;
  // In reclaim, or in a callback of it: what it charges gets the emergency
  // reserve or nothing, and does not reclaim. PF_MEMALLOC.
  bool reclaiming = false;
  // Pages charged while a group was over memory.high, that the thread has not
  // paid for yet. memcg_nr_pages_over_high.
  uint32_t over_high = 0;
  // What it charged then.
  Account* over_high_account = nullptr;
};

extern constinit UMEMCG_TLS ThreadContext t_context;
// Where new threads, and threads without a group of their own, charge.
extern constinit std::atomic<Account*> g_process_account;
// Whose heap is mimalloc's main heap.
extern constinit std::atomic<Account*> g_home_account;
// The root group's: what the allocator needs for itself is charged there. Null
// until the process is accounted.
extern constinit std::atomic<Account*> g_records_account;

inline Account* process_account() {
  // acquire: pairs with set_accounts().
  return g_process_account.load(std::memory_order_acquire);
}

inline Account* home_account() {
  // acquire: pairs with set_home_account().
  return g_home_account.load(std::memory_order_acquire);
}

// Null before the process has an account.
UMEMCG_FAST Account* current_account() {
  Account* account = t_context.account;
  return account != nullptr ? account : home_account();
}

// Where the thread charges without a scope: the group that it was put into, or
// its process's. Null before the process has an account.
inline Account* thread_account() {
  return t_context.tag != nullptr ? t_context.tag : process_account();
}

inline Account* records_account() {
  // acquire: pairs with set_accounts().
  return g_records_account.load(std::memory_order_acquire);
}

inline void set_home_account(Account* home) {
  g_home_account.store(home, std::memory_order_release);
}

// The first process account is the home account, too.
inline void set_accounts(Account* process, Account* records) {
  if (home_account() == nullptr) set_home_account(process);
  g_process_account.store(process, std::memory_order_release);
  g_records_account.store(records, std::memory_order_release);
}

// Charges `account` in this scope, whatever the limits say. A handler that
// interrupts it and leaves the thread in another heap has the last word.
class NoFailScope {
 public:
  explicit NoFailScope(Account* account) : saved_(t_context) {
    t_context.account = account;
    t_context.no_fail = true;
  }
  ~NoFailScope() {
    t_context.account =
        t_context.base == saved_.base ? saved_.account : t_context.base;
    t_context.no_fail = saved_.no_fail;
  }
  NoFailScope(const NoFailScope&) = delete;
  NoFailScope& operator=(const NoFailScope&) = delete;

 private:
  ThreadContext saved_;
};

}  // namespace umemcg
