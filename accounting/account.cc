#include "accounting/account.h"

#include <sys/mman.h>

#include "accounting/process.h"
#include "accounting/rows.h"
#include "accounting/stat_line.h"
#include "base/lock.h"
#include "base/sys.h"

namespace umemcg {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

// The table grows by blocks that never move: owners in the page table are ids.
constexpr uint32_t kBlockAccounts = 512;
constexpr uint32_t kBlocks = 2048;

constinit std::atomic<Account*> blocks[kBlocks];
constinit std::atomic<uint32_t> count{0};
constinit Lock table_lock;
constinit uint32_t ledger_hint = 0;

uint32_t claim_ledger(uint32_t group) {
  SegmentHeader& header = g_segment.header();
  uint64_t owner = make_owner(this_process(), group);
  return claim_row(g_segment.ledger_count(), &ledger_hint, owner,
                   header.ledgers_high,
                   [](uint32_t i) -> std::atomic<uint64_t>& {
                     return g_segment.ledger(i)->owner;
                   });
}

// REQUIRES: table_lock.
Account* find_account(uint32_t group) {
  for (uint32_t id = 1; id <= count.load(kRelaxed); ++id) {
    Account* account = account_at(id);
    if (account->group == group && !account->inherited.load(kRelaxed)) {
      return account;
    }
  }
  return nullptr;
}

// Memory for account `id`, or null. REQUIRES: table_lock.
Account* place_for(uint32_t id) {
  uint32_t block = id / kBlockAccounts;
  if (block >= kBlocks) return nullptr;
  Account* base = blocks[block].load(kRelaxed);
  if (base == nullptr) {
    int error;
    base = static_cast<Account*>(sys::map_anonymous(
        kBlockAccounts * sizeof(Account), PROT_READ | PROT_WRITE, &error));
    if (base == nullptr) return nullptr;
    // release: pairs with account_at().
    blocks[block].store(base, std::memory_order_release);
  }
  return base + id % kBlockAccounts;
}

// REQUIRES: table_lock.
Account* make_account(uint32_t group) {
  uint32_t id = count.load(kRelaxed) + 1;
  Account* account = place_for(id);
  if (account == nullptr) return nullptr;
  uint32_t ledger = claim_ledger(group);
  if (ledger == kNone) return nullptr;
  account->counter = &g_segment.group(group)->memory;
  account->ledger = g_segment.ledger(ledger);
  account->ledger->pages.store(0, kRelaxed);
  for (auto& stat : account->ledger->stat) stat.store(0, kRelaxed);
  account->id = id;
  account->group = group;
  account->ledger_index = ledger;
  // release: pairs with account_count().
  count.store(id, std::memory_order_release);
  return account;
}

}  // namespace

Account* account_at(uint32_t id) {
  uint32_t block = id / kBlockAccounts;
  if (id == 0 || block >= kBlocks) return nullptr;
  // acquire: pairs with place_for().
  Account* base = blocks[block].load(std::memory_order_acquire);
  return base != nullptr ? base + id % kBlockAccounts : nullptr;
}

// acquire: pairs with make_account().
uint32_t account_count() { return count.load(std::memory_order_acquire); }

Account* account_of(uint32_t group) {
  if (g_segment.group(group) == nullptr) return nullptr;
  LockGuard guard(table_lock);
  Account* account = find_account(group);
  return account != nullptr ? account : make_account(group);
}

bool account_try_charge(Account& account, int64_t pages, PageCounter** failed,
                        PageCounter::Limit limit, bool count_failure) {
  if (!account.counter->try_charge(pages, failed, limit, count_failure)) {
    return false;
  }
  account.ledger->pages.fetch_add(pages, kRelaxed);
  count_stat(account, Stat::kCharged, pages);
  return true;
}

void account_charge(Account& account, int64_t pages) {
  account.counter->charge(pages);
  account.ledger->pages.fetch_add(pages, kRelaxed);
  count_stat(account, Stat::kCharged, pages);
}

void account_uncharge(Account& account, int64_t pages) {
  if (account.inherited.load(kRelaxed)) return;
  account.ledger->pages.fetch_sub(pages, kRelaxed);
  account.counter->uncharge(pages);
  count_stat(account, Stat::kUncharged, pages);
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

void accounts_reset_lock() { table_lock.reset(); }

}  // namespace umemcg
