// Ledgers of this process: taking one, turning it over, giving it back.

#include "accounting/account_table.h"
#include "accounting/gate.h"
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

// No line of this process names the ledger from here on. (What is left in the
// words is their name alone.)
void clear_lines(const Account& account) {
  for (uint32_t i = 0; i < g_segment.lines_used(); ++i) {
    StockLine& line = *g_segment.line(i);
    if (line.owner.load(kRelaxed) != this_process() + 1) continue;
    for (auto& slot : line.slots) {
      uint64_t bits = slot.load(kRelaxed);
      const StockWord word(bits);
      if (word.ledger() == account.ledger_index && word.pages() == 0 &&
          word.given() == 0) {
        slot.compare_exchange_strong(bits, 0, kRelaxed);
      }
    }
    if (line.stat_ledger.load(kRelaxed) == account.ledger_index + 1) {
      flush_stat_line(g_segment, line);
      line.stat_ledger.store(0, kRelaxed);
    }
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
  // The kinds' counters are hierarchical too: nothing to do for them.
  g_segment.group(before)->ledgers.fetch_sub(1, std::memory_order_seq_cst);
}

bool release_ledger(Account& account) {
  Ledger& ledger = *account.ledger;
  if (account_pages(account) != 0 || ledger.kmem.load(kRelaxed) != 0 ||
      ledger.sock.load(kRelaxed) != 0 || !amounts_settled(account)) {
    return false;
  }
  ChargeSection section;
  clear_lines(account);
  const uint32_t group = account.charged.load(kRelaxed);
  pass_counts_on(ledger, *g_segment.group(group));
  for (auto& stat : ledger.stat) stat.store(0, kRelaxed);
  ledger.pages.store(0, kRelaxed);
  ledger.threads.store(0, kRelaxed);
  fault_point("between ledger and its row");
  g_segment.group(group)->ledgers.fetch_sub(1, std::memory_order_seq_cst);
  fault_point("between the group's count and the row");
  // release: pairs with claim_row().
  ledger.owner.store(0, std::memory_order_release);
  return true;
}

}  // namespace umemcg
