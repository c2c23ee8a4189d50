#include "accounting/account_table.h"

#include <sys/mman.h>

#include <cstddef>

#include "accounting/gate.h"
#include "accounting/mem_cgroup.h"
#include "accounting/process.h"
#include "base/check.h"
#include "base/lock.h"
#include "base/sys.h"

namespace umemcg {

constinit std::atomic<Account*> g_account_blocks[kAccountBlocks];

namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr auto kSeqCst = std::memory_order_seq_cst;

// A look through all accounts comes no sooner than this after the last, times
// what that took: many removals in a row are looked at together.
constexpr uint64_t kLookPause = 4;

constinit std::atomic<uint32_t> count{0};
constinit Lock table_lock;
// Free ids, linked through `next_free`; 0 ends.
constinit uint32_t free_ids = 0;
// By group: the id of its account; 0 none.
constinit std::atomic<std::atomic<uint32_t>*> by_group{nullptr};
constinit std::atomic<uint32_t> seen_generation{0};
constinit std::atomic<uint64_t> next_look_ns{0};

std::atomic<uint32_t>* group_table() {
  // acquire and release: the table is there.
  auto* table = by_group.load(std::memory_order_acquire);
  if (table != nullptr) return table;
  int error;
  table = static_cast<std::atomic<uint32_t>*>(sys::map_anonymous(
      kMostGroups * sizeof(uint32_t), PROT_READ | PROT_WRITE, &error));
  by_group.store(table, std::memory_order_release);
  return table;
}

bool in_use(const Account& account) {
  return account.group_id.load(kRelaxed) != 0 &&
         !account.inherited.load(kRelaxed);
}

// Whether new charges for its group still go through it.
bool is_current(const Account& account) {
  return in_use(account) && !account.stale.load(kRelaxed) &&
         group_id(g_segment, account.group.load(kRelaxed)) ==
             account.group_id.load(kRelaxed);
}

// Memory for account `id`, or null. REQUIRES: table_lock.
Account* place_for(uint32_t id) {
  uint32_t block = id / kBlockAccounts;
  if (block >= kAccountBlocks) return nullptr;
  Account* base = g_account_blocks[block].load(kRelaxed);
  if (base == nullptr) {
    int error;
    base = static_cast<Account*>(sys::map_anonymous(
        kBlockAccounts * sizeof(Account), PROT_READ | PROT_WRITE, &error));
    if (base == nullptr) return nullptr;
    // release: pairs with account_at().
    g_account_blocks[block].store(base, std::memory_order_release);
  }
  return base + id % kBlockAccounts;
}

// REQUIRES: table_lock.
Account* take_row() {
  if (free_ids != 0) {
    Account* account = account_at(free_ids);
    if (account == nullptr) return nullptr;
    free_ids = account->next_free;
    return account;
  }
  const uint32_t id = count.load(kRelaxed) + 1;
  Account* account = place_for(id);
  if (account != nullptr) account->id = id;
  return account;
}

// REQUIRES: table_lock.
void put_row(Account& account) {
  account.next_free = free_ids;
  free_ids = account.id;
}

// REQUIRES: table_lock.
Account* make_account(uint32_t group) {
  const uint32_t charged = charged_group(g_segment, group);
  Account* account = take_row();
  if (account == nullptr) return nullptr;
  const uint32_t ledger = claim_ledger(charged);
  if (ledger == kNone) {
    if (account->id <= count.load(kRelaxed)) put_row(*account);
    return nullptr;
  }
  account->counter.store(&g_segment.group(charged)->memory, kRelaxed);
  account->ledger = g_segment.ledger(ledger);
  account->ledger_index = ledger;
  account->group.store(group, kRelaxed);
  account->charged.store(charged, kRelaxed);
  account->charged_id.store(group_id(g_segment, charged), kRelaxed);
  account->inherited.store(false, kRelaxed);
  account->stale.store(false, kRelaxed);
  account->heap.store(nullptr, kRelaxed);
  // (Its stack stays: slices of others may be in it, see note_misplaced().)
  account->cached_pages.store(0, kRelaxed);
  for (auto& remainder : account->remainder) remainder.store(0, kRelaxed);
  account->plain_pages.store(0, kRelaxed);
  account->throttled_ns.store(0, kRelaxed);
  account->throttled_until_ns.store(0, kRelaxed);
  account->generation.fetch_add(1, kRelaxed);
  account->users.store(0, kRelaxed);
  account->released.store(false, kSeqCst);
  account->group_id.store(group_id(g_segment, group), kRelaxed);
  // release: pairs with account_count().
  if (account->id > count.load(kRelaxed)) {
    count.store(account->id, std::memory_order_release);
  }
  return account;
}

uint32_t nearest_online(uint32_t group) {
  for (int level = 0; level <= kMaxDepth && group != kNone; ++level) {
    if (group_online(g_segment, group)) return group;
    group = parent_group(g_segment, group);
  }
  return kRootGroup;
}

// Looks at one account after the tree has changed. What it sees of the tree
// holds until the ledger is turned: a recount comes before or after, and no row
// is used again in between. REQUIRES: table_lock.
void update(Account& account) {
  if (!in_use(account)) return;
  ChargeSection section;
  const uint32_t charged = account.charged.load(kRelaxed);
  const bool gone = account.stale.load(kRelaxed) ||
                    group_id(g_segment, account.group.load(kRelaxed)) !=
                        account.group_id.load(kRelaxed) ||
                    !group_online(g_segment, account.group.load(kRelaxed));
  const uint32_t target =
      charged_group(g_segment, gone ? charged : account.group.load(kRelaxed));
  if (gone || target != charged) account.stale.store(true, kSeqCst);
  if (target != charged && in_subtree(g_segment, charged, target)) {
    turn_ledger(account, target);
  }
}

}  // namespace

const AccountMap& account_map() {
  static constinit const AccountMap map = {
      kAccountMagic,
      g_account_blocks,
      kAccountBlocks,
      kBlockAccounts,
      sizeof(Account),
      offsetof(Account, id),
      offsetof(Account, charged),
      offsetof(Account, charged_id),
      offsetof(Account, inherited),
      offsetof(Account, released),
      0,
  };
  return map;
}

// acquire: pairs with make_account().
uint32_t account_count() { return count.load(std::memory_order_acquire); }

Account* account_of(uint32_t group) {
  if (g_segment.group(group) == nullptr) return nullptr;
  LockGuard guard(table_lock);
  auto* table = group_table();
  if (table == nullptr) return nullptr;
  // No row that is seen online here is used again before the end of it.
  ChargeSection section;
  group = nearest_online(group);
  Account* account = account_at(table[group].load(kRelaxed));
  if (account != nullptr && account->group.load(kRelaxed) == group) {
    update(*account);
    if (is_current(*account)) return account;
  }
  account = make_account(group);
  if (account != nullptr) table[group].store(account->id, kRelaxed);
  return account;
}

namespace {
// Where charges for an account that is not current go. The row of what it
// charged last may be another group's by now, if nothing has pinned it since:
// then nobody knows its ancestors any more, and the process's group pays.
uint32_t successor_group(const Account& account) {
  const uint32_t group = account.group.load(kRelaxed);
  if (group_id(g_segment, group) == account.group_id.load(kRelaxed) &&
      group_online(g_segment, group)) {
    return group;
  }
  const uint32_t charged = account.charged.load(kRelaxed);
  if (group_id(g_segment, charged) == account.charged_id.load(kRelaxed)) {
    return charged;
  }
  const ProcessSlot* slot = g_segment.process(this_process());
  return slot != nullptr ? slot->group.load(kRelaxed) : kRootGroup;
}
}  // namespace

Account* current_of(Account* account) {
  const bool inherited = account->inherited.load(kRelaxed);
  if (!inherited && !account->stale.load(kRelaxed)) return account;
  ChargeSection section;  // as in account_of()
  Account* now = account_of(successor_group(*account));
  return now != nullptr ? now : account;
}

bool accounts_outdated() {
  // acquire: pairs with the releases of `generation`.
  return g_segment.header().generation.load(std::memory_order_acquire) !=
             seen_generation.load(kRelaxed) &&
         sys::monotonic_ns() >= next_look_ns.load(kRelaxed);
}

void sync_accounts() {
  LockGuard guard(table_lock);
  const uint64_t since = sys::monotonic_ns();
  seen_generation.store(
      g_segment.header().generation.load(std::memory_order_acquire), kRelaxed);
  for (uint32_t id = 1; id <= count.load(kRelaxed); ++id) {
    update(*account_at(id));
  }
  const uint64_t now = sys::monotonic_ns();
  next_look_ns.store(now + kLookPause * (now - since), kRelaxed);
}

void sync_account(Account& account) {
  LockGuard guard(table_lock);
  update(account);
}

namespace {

constexpr uint64_t kOneHandle = uint64_t{1} << 32;

// seq_cst here and in account_release(): either the release sees the new user,
// or the user sees that the account has gone.
bool add_user(Account& account, uint64_t one) {
  account.users.fetch_add(one, kSeqCst);
  if (account.released.load(kSeqCst)) {
    account.users.fetch_sub(one, kSeqCst);
    return false;
  }
  return true;
}

}  // namespace

bool account_get(Account& account) { return add_user(account, 1); }

void account_put(Account& account) { account.users.fetch_sub(1, kSeqCst); }

bool account_get_handle(Account& account) {
  return add_user(account, kOneHandle);
}

bool account_put_handle(Account& account) {
  uint64_t users = account.users.load(kRelaxed);
  while (users >= kOneHandle) {
    if (account.users.compare_exchange_weak(users, users - kOneHandle,
                                            kSeqCst)) {
      return true;
    }
  }
  return false;
}

bool account_release(Account& account) {
  LockGuard guard(table_lock);
  if (!in_use(account) || !account.stale.load(kRelaxed) ||
      account.heap.load(kRelaxed) != nullptr) {
    return false;
  }
  account.released.store(true, kSeqCst);
  if (account.users.load(kSeqCst) != 0 || !release_ledger(account)) {
    account.released.store(false, kSeqCst);
    return false;
  }
  for (auto& remainder : account.remainder) {
    if (remainder.exchange(0, kRelaxed) % static_cast<int64_t>(kPageSize) != 0)
      UMEMCG_WARN_ONCE(
          "a removed group's objects were not uncharged to the byte");
  }
  account.group_id.store(0, kRelaxed);
  auto* table = group_table();
  if (table[account.group.load(kRelaxed)].load(kRelaxed) == account.id) {
    table[account.group.load(kRelaxed)].store(0, kRelaxed);
  }
  put_row(account);
  return true;
}

void accounts_inherit() {
  const uint32_t last = account_count();
  for (uint32_t id = 1; id <= last; ++id) {
    Account* account = account_at(id);
    account->inherited.store(true, kRelaxed);
    account->cached_head.store(0, kRelaxed);
    account->cached_pages.store(0, kRelaxed);
  }
}

void accounts_keep() {
  const uint32_t last = account_count();
  for (uint32_t id = 1; id <= last; ++id) {
    account_at(id)->inherited.store(false, kRelaxed);
  }
}

void accounts_reset_lock() { table_lock.reset(); }

}  // namespace umemcg
