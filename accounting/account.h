// An account: what this process has with one group, the obj_cgroup of the
// kernel. It joins the group's counter with this process's ledger for it, and
// is what the page table names as the owner of a page.
//
// Accounts are private to the process. An account is made for a group (its
// `group`, with its id) and charges `charged`: the group itself, or, when that
// has no memory controller, the nearest ancestor that has it. When the group is
// removed (or its controller switched) the account becomes *stale*: what it
// holds is the nearest ancestor's from then on (reparented), nothing new is
// allocated for it, and it is released when it holds nothing and nobody uses
// it. sync_accounts() does that, at a slow path after the tree has changed.
//
// In the child of a fork within a domain, the accounts it got from its parent
// are `inherited`: their pages are charged by the parent, so they are never
// uncharged here.
//
// Thread safety: all functions may be called from any thread. Nothing here
// allocates from the heap or changes errno; those that take a lock say so.
#pragma once

#include <atomic>
#include <cstdint>

#include "accounting/kind.h"
#include "accounting/page_words.h"
#include "accounting/segment.h"
#include "base/attributes.h"

namespace umemcg {

struct alignas(kCacheSeparation) Account {
  // Of the group that is charged. Read within a ChargeSection.
  std::atomic<PageCounter*> counter;
  Ledger* ledger;
  uint32_t id;  // its place in the table of accounts; never 0
  uint32_t ledger_index;
  // The group it was made for: its row may be another's when the id differs.
  std::atomic<uint32_t> group;
  std::atomic<uint32_t> generation;  // of this place in the table, for handles
  std::atomic<uint64_t> group_id;    // 0: the row is free
  std::atomic<uint32_t> charged;     // index
  // Of that: an account that is inherited or released does not pin its row.
  std::atomic<uint64_t> charged_id;
  uint32_t next_free;  // while the row is free: another's id
  std::atomic<bool> inherited;
  std::atomic<bool> stale;
  std::atomic<bool> released;
  // Threads that have a theap of it, and others who rely on its heap, in the
  // low half; handles that umemcg_group_open gave (shim/group_handle.h) in the
  // high one. It is not released before all are gone, and its heap does not go
  // before the former are.
  std::atomic<uint64_t> users;
  // The mimalloc heap of the group in this process (alloc/group_heap.h).
  std::atomic<void*> heap;
  // Since when it is known to be empty, once its group is gone
  // (alloc/zombie.h); 0: it is not.
  std::atomic<uint32_t> empty_ms;
  // Of an inherited account: a handle of this process's own of the same group,
  // so that it is looked for once. Checked when it is used, so it may be old.
  std::atomic<uint64_t> heir;
  // Cached slices, newest first, as a stack: see alloc/cached.h. Slice
  // number + 1; 0 is empty.
  alignas(kCacheSeparation) std::atomic<uint32_t> cached_head;
  std::atomic<int64_t> cached_pages;
  // For how long threads that charge it have slept over memory.high in the
  // episode that is on, and up to when (reclaim/throttle.h).
  std::atomic<uint64_t> throttled_ns;
  std::atomic<uint64_t> throttled_until_ns;
  // Pages charged for objects that have no counter of their own.
  std::atomic<int64_t> plain_pages;
  // Bytes of objects' charges that are in no thread's stock, by what their
  // pages are charged to beside the group (0 kmem, 1 sock, 2 nothing):
  // nr_charged_bytes. Below a page each, but for moments.
  std::atomic<int64_t> remainder[3];
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

// Pages that are already charged are of this kind too (kKmem or kSock; others
// have no counter of their own): its counter is charged as well, or refuses.
bool account_try_charge_kind(Account& account, Kind kind, int64_t pages,
                             PageCounter** failed);
void account_charge_kind(Account& account, Kind kind, int64_t pages);
void account_uncharge_kind(Account& account, Kind kind, int64_t pages);

// The account of this process for `group`, made on first use; null when the
// table of accounts or ledgers is full. For a group that is not online (any
// more) that of the nearest online ancestor. Takes a lock.
Account* account_of(uint32_t group);

// The account that new charges for `account` go to: itself, or, when it is
// stale, that of its group (if its controller was switched) or of the nearest
// online ancestor. Takes a lock if it is stale. Never null: if the table is
// full it is the account itself.
Account* current_of(Account* account);

// The table grows by blocks that never move: owners in the page table are ids,
// and so are handles.
inline constexpr uint32_t kBlockAccounts = 512;
inline constexpr uint32_t kAccountBlocks = 2048;
extern constinit std::atomic<Account*> g_account_blocks[kAccountBlocks];

// The account with that id, or null. The row of one that was released stays
// (`released`) until it is another's, of the next generation.
UMEMCG_FAST Account* account_at(uint32_t id) {
  const uint32_t block = id / kBlockAccounts;
  if (UMEMCG_UNLIKELY(id == 0 || block >= kAccountBlocks)) return nullptr;
  // acquire: pairs with place_for().
  Account* base = g_account_blocks[block].load(std::memory_order_acquire);
  return base != nullptr ? base + id % kBlockAccounts : nullptr;
}
// Ids run from 1 to this, inclusive.
uint32_t account_count();

// Where the table of accounts lies, for `umemcg smaps`.
const AccountMap& account_map();

// Whether the tree has changed since the last sync_accounts().
bool accounts_outdated();
// Looks through the accounts: those whose group went away are reparented.
// Takes a lock. Threads then see `stale`.
void sync_accounts();
// The same for one account, at once.
void sync_account(Account& account);

// A reference, for theaps. False if the account has been released.
bool account_get(Account& account);
void account_put(Account& account);
// The same for handles. put: false if there are none.
bool account_get_handle(Account& account);
bool account_put_handle(Account& account);

// How many rely on the account's heap: `users` without the handles.
UMEMCG_FAST uint32_t heap_users(const Account& account) {
  // acquire: pairs with account_put().
  return static_cast<uint32_t>(account.users.load(std::memory_order_acquire));
}

// Releases a stale account that holds nothing: the ledger's row and the id are
// free again. False if it still holds something or has users. REQUIRES: its
// heap is gone. Takes a lock.
bool account_release(Account& account);

// Pages that the process has charged through it, stocks included: what its
// ledger says, less what others took out of this process's stocks.
int64_t account_pages(const Account& account);

// In the child of a fork that joined the domain as a process of its own: all
// accounts so far are inherited.
void accounts_inherit();
// It could not go on with accounts of its own: they are its own after all.
void accounts_keep();
// In the child of any fork: whoever held the lock is not here.
void accounts_reset_lock();

}  // namespace umemcg
