// An account: what this process has with one group. It joins the group's
// counter with this process's ledger for it, and is what the page table names
// as the owner of a page.
//
// Accounts are private to the process and live until it ends. In the child of
// a fork within a domain, the accounts it got from its parent are `inherited`:
// their pages are charged by the parent, so they are never uncharged here.
//
// Thread safety: all functions may be called from any thread. Nothing here
// allocates from the heap, blocks or changes errno.
#pragma once

#include <atomic>
#include <cstdint>

#include "accounting/segment.h"
#include "base/attributes.h"

namespace umemcg {

struct alignas(kCacheSeparation) Account {
  PageCounter* counter;  // of the group
  Ledger* ledger;
  uint32_t id;     // its place in the table of accounts; never 0
  uint32_t group;  // index
  uint32_t ledger_index;
  std::atomic<bool> inherited;
  // Cached slices, newest first, as a stack: see alloc/cached.h. Slice
  // number + 1; 0 is empty.
  alignas(kCacheSeparation) std::atomic<uint32_t> cached_head;
  std::atomic<int64_t> cached_pages;
};

// Charges `pages` to the group and its ancestors and writes it down, or fails
// with the counter that refused.
bool account_try_charge(Account& account, int64_t pages, PageCounter** failed,
                        PageCounter::Limit limit = PageCounter::Limit::kMax,
                        bool count_failure = true);
// The same whatever the limits say.
void account_charge(Account& account, int64_t pages);
// Takes back `pages`; nothing for an inherited account.
void account_uncharge(Account& account, int64_t pages);

// The account of this process with `group`, made on first use; null when the
// table of accounts or ledgers is full. Takes a lock.
Account* account_of(uint32_t group);

// The account with that id, or null.
Account* account_at(uint32_t id);
// Ids run from 1 to this, inclusive.
uint32_t account_count();

// In the child of a fork that joined the domain as a process of its own: all
// accounts so far are inherited.
void accounts_inherit();
// In the child of any fork: whoever held the lock is not here.
void accounts_reset_lock();

}  // namespace umemcg
