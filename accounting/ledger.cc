// Ledgers of this process: taking one, turning it over, giving it back.

#include "accounting/account_table.h"
#include "accounting/gate.h"
#include "accounting/mem_cgroup.h"
#include "accounting/process.h"
#include "accounting/rows.h"
#include "accounting/stat_line.h"
#include "accounting/stock_word.h"
#include "base/check.h"
#include "base/fault_point.h"

namespace umemcg {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

constinit uint32_t ledger_hint = 0;

// The amounts of the account's statistics, in the ledger and in the lines of
// this process's threads.
bool amounts_settled(const Account& account) {
  int64_t amounts[kAmounts];
  for (int i = 0; i < kAmounts; ++i) {
    amounts[i] = account.ledger->stat[i].load(kRelaxed);
  }
  for (uint32_t i = 0; i < g_segment.lines_used(); ++i) {
    const StockLine& line = *g_segment.line(i);
    if (line.owner.load(kRelaxed) != this_process() + 1 ||
        line.stat_ledger.load(kRelaxed) != account.ledger_index + 1) {
      continue;
    }
    for (int s = 0; s < kAmounts; ++s) {
      amounts[s] += line.stat[s].load(kRelaxed);
    }
  }
  for (int64_t amount : amounts) {
    if (amount != 0) return false;
  }
  return true;
}

// Takes a word that names the ledger away, with what others were given out of
// it. False if it holds pages.
bool clear_word(const Account& account, std::atomic<uint64_t>& slot) {
  uint64_t bits = slot.load(kRelaxed);
  while (StockWord(bits).ledger() == account.ledger_index) {
    const StockWord word(bits);
    if (word.pages() != 0) return false;
    if (!slot.compare_exchange_weak(bits, 0, kRelaxed)) continue;
    account.ledger->pages.fetch_sub(word.given(), kRelaxed);
    break;
  }
  return true;
}

// No line of this process names the ledger from here on. False if one holds
// pages of it.
bool clear_lines(const Account& account) {
  bool clear = true;
  for (uint32_t i = 0; i < g_segment.lines_used(); ++i) {
    StockLine& line = *g_segment.line(i);
    if (line.owner.load(kRelaxed) != this_process() + 1) continue;
    for (auto& slot : line.slots) clear &= clear_word(account, slot);
    clear &= clear_word(account, line.reservation);
  }
  return clear;
}

// The thread may be turning to another ledger at this moment: then it flushes
// by itself, and the exchanges of both count each amount once.
void clear_stat_lines(const Account& account) {
  for (uint32_t i = 0; i < g_segment.lines_used(); ++i) {
    StockLine& line = *g_segment.line(i);
    uint32_t named = account.ledger_index + 1;
    if (line.owner.load(kRelaxed) != this_process() + 1 ||
        line.stat_ledger.load(kRelaxed) != named) {
      continue;
    }
    flush_stat_line(g_segment, line);
    line.stat_ledger.compare_exchange_strong(named, 0, kRelaxed);
  }
}

// As if the account's charges had been the group's all along.
void pass_counts_on(Ledger& ledger, Group& group) {
  for (int i = kAmounts; i < kStats; ++i) {
    group.stat[i].fetch_add(ledger.stat[i].exchange(0, kRelaxed), kRelaxed);
  }
}

}  // namespace

uint32_t claim_ledger(uint32_t group) {
  ChargeSection section;
  const uint64_t owner = make_owner(this_process(), group);
  uint32_t index = claim_row(g_segment.ledger_count(), &ledger_hint, owner,
                             g_segment.header().ledgers_high,
                             [](uint32_t i) -> std::atomic<uint64_t>& {
                               return g_segment.ledger(i)->owner;
                             });
  if (index == kNone) return kNone;
  fault_point("between ledger and group");
  g_segment.group(group)->ledgers.fetch_add(1, std::memory_order_seq_cst);
  return index;
}

// Ancestors have the pages already, so nothing is charged or uncharged. The new
// counter is there before the row is given up: whoever frees it looks for
// sections that may still use the old one.
void turn_ledger(Account& account, uint32_t group) {
  ChargeSection section;
  const uint32_t before = account.charged.load(kRelaxed);
  g_segment.group(group)->ledgers.fetch_add(1, kRelaxed);
  fault_point("between the parent's count and the ledger");
  account.ledger->owner.store(make_owner(this_process(), group), kRelaxed);
  fault_point("between the ledger and the former group's count");
  account.counter.store(&g_segment.group(group)->memory, kRelaxed);
  account.charged.store(group, kRelaxed);
  account.charged_id.store(group_id(g_segment, group), kRelaxed);
  // The kinds' counters are hierarchical too: nothing to do for them.
  g_segment.group(before)->ledgers.fetch_sub(1, std::memory_order_seq_cst);
}

bool release_ledger(Account& account) {
  Ledger& ledger = *account.ledger;
  ChargeSection section;
  if (account_pages(account) != 0 || !clear_lines(account) ||
      ledger.pages.load(kRelaxed) != 0 || ledger.kmem.load(kRelaxed) != 0 ||
      ledger.sock.load(kRelaxed) != 0 || !amounts_settled(account)) {
    return false;
  }
  clear_stat_lines(account);
  const uint32_t group = account.charged.load(kRelaxed);
  pass_counts_on(ledger, *g_segment.group(group));
  for (auto& stat : ledger.stat) stat.store(0, kRelaxed);
  add_to_ancestors(g_segment, group, &Group::threads,
                   -static_cast<int>(ledger.threads.exchange(0, kRelaxed)));
  fault_point("between ledger and its row");
  g_segment.group(group)->ledgers.fetch_sub(1, std::memory_order_seq_cst);
  fault_point("between the group's count and the row");
  // release: pairs with claim_row().
  ledger.owner.store(0, std::memory_order_release);
  return true;
}

}  // namespace umemcg
