#include "accounting/stat_line.h"

#include "accounting/gate.h"
#include "accounting/mem_cgroup.h"
#include "accounting/stock_word.h"
#include "base/attributes.h"

namespace umemcg {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

void add(StatArray& stats, Stat stat, int64_t amount) {
  stats[static_cast<int>(stat)].fetch_add(amount, kRelaxed);
}

void add_all(const StatArray& stats, int64_t out[kStats]) {
  for (int i = 0; i < kStats; ++i) out[i] += stats[i].load(kRelaxed);
}

}  // namespace

constinit UMEMCG_TLS StockLine* t_line = nullptr;

void set_thread_line(StockLine* line) { t_line = line; }

// A signal handler that charges in the middle of the switch below may have its
// counts booked to the group switched from; they are never lost.
void count_stat(Account& account, Stat stat, int64_t amount) {
  StockLine* line = t_line;
  if (line == nullptr) {
    add(account.ledger->stat, stat, amount);
    return;
  }
  uint32_t wanted = account.ledger_index + 1;
  if (UMEMCG_UNLIKELY(line->stat_ledger.load(kRelaxed) != wanted)) {
    // A recount finds the counts here or there.
    ChargeSection section;
    flush_stat_line(g_segment, *line);
    line->stat_ledger.store(wanted, kRelaxed);
  }
  add(line->stat, stat, amount);
}

void flush_stat_line(Segment& segment, StockLine& line) {
  uint32_t index = line.stat_ledger.load(kRelaxed);
  Ledger* ledger = index != 0 ? segment.ledger(index - 1) : nullptr;
  for (int i = 0; i < kStats; ++i) {
    int64_t value = line.stat[i].exchange(0, kRelaxed);
    if (value != 0 && ledger != nullptr) {
      ledger->stat[i].fetch_add(value, kRelaxed);
    }
  }
}

void read_stats(Segment& segment, uint32_t group, bool subtree,
                int64_t out[kStats]) {
  auto wanted = [&](uint32_t other) {
    return subtree ? in_subtree(segment, other, group) : other == group;
  };
  for (int i = 0; i < kStats; ++i) out[i] = 0;
  for (uint32_t g = 0; g < segment.groups_used(); ++g) {
    if (wanted(g)) add_all(segment.group(g)->stat, out);
  }
  for (uint32_t i = 0; i < segment.ledgers_used(); ++i) {
    Ledger& ledger = *segment.ledger(i);
    uint64_t owner = ledger.owner.load(kRelaxed);
    if (owner != 0 && wanted(owner_group(owner))) add_all(ledger.stat, out);
  }
  for (uint32_t i = 0; i < segment.lines_used(); ++i) {
    StockLine& line = *segment.line(i);
    if (line.owner.load(kRelaxed) == 0) continue;
    uint32_t index = line.stat_ledger.load(kRelaxed);
    Ledger* ledger = index != 0 ? segment.ledger(index - 1) : nullptr;
    uint64_t owner = ledger != nullptr ? ledger->owner.load(kRelaxed) : 0;
    if (owner != 0 && wanted(owner_group(owner))) add_all(line.stat, out);
  }
  for (int i = 0; i < kStats; ++i) {
    if (out[i] < 0) out[i] = 0;
  }
}

namespace {
// The pages of a word of a stock, if they are charged to the subtree.
int64_t pages_in_subtree(Segment& segment, uint64_t bits, uint32_t group) {
  const StockWord word(bits);
  const uint32_t owner = group_of_word(segment, word);
  bool inside = owner != kNone && in_subtree(segment, owner, group);
  return inside ? word.pages() : 0;
}
}  // namespace

int64_t stock_pages(Segment& segment, uint32_t group) {
  int64_t pages = 0;
  for (uint32_t i = 0; i < segment.lines_used(); ++i) {
    StockLine& line = *segment.line(i);
    for (auto& slot : line.slots) {
      pages += pages_in_subtree(segment, slot.load(kRelaxed), group);
    }
    pages += pages_in_subtree(segment, line.reservation.load(kRelaxed), group);
  }
  return pages;
}

}  // namespace umemcg
