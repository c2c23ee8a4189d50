// A thread's theaps: those of the 16 accounts that it used last, so that
// turning to one of them is a look into a small table.
//
//   find_theap    a hint by the account's id, then all entries
//   need_theap    makes it; the one that was not used for longest goes
//
// While an allocation is under way (its slow half calls back) none may go,
// since nobody knows which theap it is from. Then a few more may be had.
//
// An entry holds a reference to its account, and counts as a thread of its
// group. Entries that the thread is in (its default, what it was put into, its
// scope's and a call's) stay.
//
// Thread safety: a thread works on its own entries only; the child of a fork
// also on those of threads that are not there. A signal handler may look up at
// any moment: an entry is complete before its account is stored, and its
// account is taken out before anything else happens to it.
#pragma once

#include <mimalloc.h>

#include <atomic>
#include <cstdint>

#include "accounting/account.h"
#include "base/attributes.h"

namespace umemcg {

inline constexpr uint32_t kTheapsPerThread = 16;
inline constexpr uint32_t kTheapsForCallbacks = 4;

struct TheapEntry {
  Account* account;  // null: free
  mi_theap_t* theap;
  const Group* row;  // of the account's group
  uint32_t used;     // when it was last turned to, by the thread's own clock
  uint64_t name;     // account_name(), once there is an account
};

// The account's place and its generation, as in handles: says it in one word.
inline constexpr int kAccountIdBits = 24;
UMEMCG_FAST uint64_t account_name(const Account& account) {
  const uint64_t generation =
      account.generation.load(std::memory_order_relaxed);
  return generation << kAccountIdBits | account.id;
}

// Between what a handler of the same thread may see.
UMEMCG_FAST void order_for_handlers() {
  std::atomic_signal_fence(std::memory_order_seq_cst);
}

struct ThreadHeaps {
  TheapEntry entries[kTheapsPerThread + kTheapsForCallbacks];
  // By the account's id (and so by the end of its name): where it was found
  // last.
  TheapEntry* hints[kTheapsPerThread];
  uint32_t clock;
  uint32_t under_way;  // allocations that are in their slow half
  Account* call;       // of a call that names its group
  // In the list of all threads that have entries.
  ThreadHeaps* next;
  ThreadHeaps* previous;
  bool listed;
};

extern constinit UMEMCG_TLS ThreadHeaps t_heaps;

TheapEntry* find_theap_slow(const Account& account);

// The thread's entry for the account, or null. Async-signal-safe.
UMEMCG_FAST TheapEntry* find_theap(const Account& account) {
  TheapEntry* hint = t_heaps.hints[account.id % kTheapsPerThread];
  if (UMEMCG_UNLIKELY(hint == nullptr || hint->account != &account)) {
    hint = find_theap_slow(account);
    if (hint == nullptr) return nullptr;
  }
  hint->used = ++t_heaps.clock;
  return hint;
}

// The same, and made if there is none; null without memory for it, or if the
// account is released. Not for signal handlers.
TheapEntry* need_theap(Account& account);

// Lets go of entries whose accounts are stale, as far as the thread is not in
// them. REQUIRES: no allocation of the thread is under way.
void drop_stale_theaps();
// Whether there are some.
bool has_stale_theaps();

// Gives back the free pages of all of them.
void collect_theaps();

// The slow half of an allocation.
class AllocationUnderWay {
 public:
  AllocationUnderWay() { ++t_heaps.under_way; }
  ~AllocationUnderWay() { --t_heaps.under_way; }
  AllocationUnderWay(const AllocationUnderWay&) = delete;
  AllocationUnderWay& operator=(const AllocationUnderWay&) = delete;
};

// The thread's theaps are gone (mimalloc's own end of the thread has run): the
// references go.
void forget_theaps();

// In the child of a fork: the references of the other threads, which are not
// here, go.
void forget_other_threads();
// In the child of a fork, whose threads are counted anew: this one's entries,
// each with the account that `heir` gives for the one it had.
void inherit_theaps(Account* (*heir)(Account* account));

}  // namespace umemcg
