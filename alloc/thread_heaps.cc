#include "alloc/thread_heaps.h"

#include "alloc/account_heap.h"
#include "alloc/collect.h"
#include "alloc/fork_gate.h"
#include "base/lock.h"
#include "stock/current.h"
#include "stock/stock.h"

namespace umemcg {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

// Held within the fork gate only.
constinit Lock list_lock;
constinit ThreadHeaps* all_threads = nullptr;

void enlist(ThreadHeaps& heaps) {
  if (heaps.listed) return;
  ForkGateScope gate;
  {
    LockGuard guard(list_lock);
    heaps.next = all_threads;
    heaps.previous = nullptr;
    if (all_threads != nullptr) all_threads->previous = &heaps;
    all_threads = &heaps;
    heaps.listed = true;
  }
  g_line_acquired_hook();  // the thread's end is to be heard of
}

void delist(ThreadHeaps& heaps) {
  if (!heaps.listed) return;
  ForkGateScope gate;
  LockGuard guard(list_lock);
  (heaps.previous != nullptr ? heaps.previous->next : all_threads) = heaps.next;
  if (heaps.next != nullptr) heaps.next->previous = heaps.previous;
  heaps.listed = false;
}

bool is_base(const Account* account) {
  const Account* base = t_context.base;
  return account == (base != nullptr ? base : home_account());
}

// Whether the thread is in it: see the header.
bool in_use(const Account* account) {
  return is_base(account) || account == t_context.account ||
         account == t_context.tag || account == t_context.active ||
         account == t_heaps.call;
}

// The account of an entry, the reference given back with its count.
void put_entry_account(Account& account) {
  drain_own_stock_of(account);
  count_group_thread(account, -1);
  account_put(account);
}

// Frees the entry, unless a handler has turned to it meanwhile.
bool drop(TheapEntry& entry) {
  Account* const account = entry.account;
  entry.account = nullptr;
  order_for_handlers();
  if (in_use(account)) {
    entry.account = account;
    return false;
  }
  delete_theap(entry.theap);
  put_entry_account(*account);
  name_theaps();
  return true;
}

// The entry that was not used for longest, of those that may go.
TheapEntry* oldest_entry() {
  TheapEntry* oldest = nullptr;
  for (TheapEntry& entry : t_heaps.entries) {
    if (entry.account == nullptr || in_use(entry.account)) continue;
    const uint32_t age = t_heaps.clock - entry.used;
    if (oldest == nullptr || age > t_heaps.clock - oldest->used) {
      oldest = &entry;
    }
  }
  return oldest;
}

// An entry to fill, or null.
TheapEntry* free_entry() {
  for (;;) {
    TheapEntry* free = nullptr;
    uint32_t taken = 0;
    for (TheapEntry& entry : t_heaps.entries) {
      if (entry.account == nullptr) {
        free = &entry;
      } else {
        ++taken;
      }
    }
    if (t_heaps.under_way != 0 || taken < kTheapsPerThread) return free;
    TheapEntry* oldest = oldest_entry();
    if (oldest == nullptr || !drop(*oldest)) return free;
  }
}

// REQUIRES: a reference to the account.
TheapEntry* make_entry(Account& account) {
  TheapEntry* entry = free_entry();
  if (entry == nullptr) return nullptr;
  mi_theap_t* theap = make_theap(account);
  if (theap == nullptr) return nullptr;
  enlist(t_heaps);
  count_group_thread(account, +1);
  entry->theap = theap;
  entry->row = g_segment.group(account.group.load(kRelaxed));
  entry->used = ++t_heaps.clock;
  entry->name = account_name(account);
  order_for_handlers();
  entry->account = &account;
  take_collect_place();
  name_theaps();
  return entry;
}

}  // namespace

constinit UMEMCG_TLS ThreadHeaps t_heaps = {};

TheapEntry* find_theap_slow(const Account& account) {
  for (TheapEntry& entry : t_heaps.entries) {
    if (entry.account != &account) continue;
    t_heaps.hints[account.id % kTheapsPerThread] = &entry;
    return &entry;
  }
  return nullptr;
}

TheapEntry* need_theap(Account& account) {
  TheapEntry* entry = find_theap(account);
  if (entry != nullptr) return entry;
  // (A parent's account is never charged anew.)
  if (making_heap() || account.inherited.load(kRelaxed) ||
      !account_get(account)) {
    return nullptr;
  }
  entry = make_entry(account);
  if (entry == nullptr) account_put(account);
  return entry;
}

bool has_stale_theaps() {
  for (const TheapEntry& entry : t_heaps.entries) {
    if (entry.account != nullptr && entry.account->stale.load(kRelaxed)) {
      return true;
    }
  }
  return false;
}

void drop_stale_theaps() {
  for (TheapEntry& entry : t_heaps.entries) {
    Account* account = entry.account;
    if (account == nullptr || !account->stale.load(kRelaxed)) continue;
    if (!in_use(account)) drop(entry);
  }
}

void collect_theaps() {
  mi_theap_t* const current = mi_theap_get_default();
  if (current != nullptr) mi_theap_collect(current, true);
  for (const TheapEntry& entry : t_heaps.entries) {
    if (entry.account == nullptr || entry.theap == current) continue;
    mi_theap_collect(entry.theap, true);
  }
}

void forget_theaps() {
  for (TheapEntry& entry : t_heaps.entries) {
    Account* account = entry.account;
    if (account == nullptr) continue;
    entry.account = nullptr;
    order_for_handlers();
    put_entry_account(*account);
  }
  delist(t_heaps);
}

void forget_other_threads() {
  list_lock.reset();
  for (ThreadHeaps* heaps = all_threads; heaps != nullptr;
       heaps = heaps->next) {
    if (heaps == &t_heaps) continue;
    for (TheapEntry& entry : heaps->entries) {
      if (entry.account != nullptr) account_put(*entry.account);
      entry.account = nullptr;
    }
  }
  all_threads = t_heaps.listed ? &t_heaps : nullptr;
  t_heaps.next = t_heaps.previous = nullptr;
}

void inherit_theaps(Account* (*heir)(Account* account)) {
  for (TheapEntry& entry : t_heaps.entries) {
    if (entry.account == nullptr) continue;
    Account* account = heir(entry.account);
    if (account != entry.account && account_get(*account)) {
      account_put(*entry.account);
      entry.account = account;
      entry.row = g_segment.group(account->group.load(kRelaxed));
      entry.name = account_name(*account);
    }
    count_group_thread(*entry.account, +1);
  }
}

}  // namespace umemcg
