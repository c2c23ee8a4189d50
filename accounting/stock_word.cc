#include "accounting/stock_word.h"

#include "accounting/gate.h"
#include "accounting/mem_cgroup.h"
#include "accounting/notify.h"
#include "base/fault_point.h"
#include "base/sys.h"

namespace umemcg {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr int64_t kStaleReservationMs = 10;

void count_uncharged(Ledger& ledger, int64_t pages) {
  ledger.stat[static_cast<int>(Stat::kUncharged)].fetch_add(pages, kRelaxed);
}

bool word_in_subtree(Segment& segment, StockWord word, uint32_t root) {
  if (word.pages() == 0) return false;
  uint32_t group = group_of_word(segment, word);
  return group != kNone && in_subtree(segment, group, root);
}

// Takes the pages of the word as it was looked at.
int64_t drain(Segment& segment, std::atomic<uint64_t>& slot, StockWord word) {
  // From here on no row that is found is used again (free_row).
  ChargeSection section;
  const StockWord drained = word.drained();
  const uint32_t group = group_of_word(segment, word);
  if (group == kNone || drained == word) return 0;
  uint64_t bits = word.bits();
  if (!slot.compare_exchange_strong(bits, drained.bits(), kRelaxed)) return 0;
  fault_point("between a drained word and the counter");
  // The ledger may have been turned to an ancestor in between. But if it has
  // become another group's, and the same word has come back, nobody knows whose
  // pages these are: then the counter is left too high, for a recount.
  const uint32_t now = group_of_word(segment, word);
  if (UMEMCG_UNLIKELY(now != group) && !in_subtree(segment, group, now)) {
    segment.header().recount_due.store(1, kRelaxed);
    return 0;
  }
  segment.group(now)->memory.uncharge(word.pages());
  count_uncharged(*segment.ledger(word.ledger()), word.pages());
  threshold_events(segment, now, word.pages());
  return word.pages();
}

// A reservation is left alone while it is fresh, which one made since `now` was
// read is too (hence the signed age). Only the word that was looked at is
// taken; one of the same pages made in between may be mistaken for it, if the
// former was stale: that allocation then charges again.
int64_t drain_reservation(Segment& segment, StockLine& line, uint32_t root,
                          uint64_t now) {
  // acquire: pairs with reserve_pages(), whose time is the word's.
  StockWord word(line.reservation.load(std::memory_order_acquire));
  if (!word_in_subtree(segment, word, root)) return 0;
  auto age = static_cast<int64_t>(now - line.reservation_ms.load(kRelaxed));
  if (age <= kStaleReservationMs) return 0;
  return drain(segment, line.reservation, word);
}

}  // namespace

uint32_t group_of_word(Segment& segment, StockWord word) {
  Ledger* ledger = segment.ledger(word.ledger());
  uint64_t owner = ledger != nullptr ? ledger->owner.load(kRelaxed) : 0;
  if (owner == 0 || segment.group(owner_group(owner)) == nullptr) return kNone;
  return owner_group(owner);
}

int64_t drain_word(Segment& segment, std::atomic<uint64_t>& word) {
  // The word names its ledger all the time that it is there: so the group that
  // was found is the right one, or one that has the pages as an ancestor.
  for (int tries = 0; tries < 16; ++tries) {
    StockWord seen(word.load(kRelaxed));
    if (seen.pages() == 0) return 0;
    int64_t pages = drain(segment, word, seen);
    if (pages != 0) return pages;
  }
  return 0;
}

void settle_word(Segment& segment, StockWord word) {
  if (word.pages() == 0 && word.given() == 0) return;
  ChargeSection section;
  fault_point("a word is out of its slot");
  const uint32_t group = group_of_word(segment, word);
  if (group == kNone) return;
  Ledger& ledger = *segment.ledger(word.ledger());
  ledger.pages.fetch_sub(word.pages() + word.given(), kRelaxed);
  fault_point("between a settled word's ledger and counter");
  if (word.pages() == 0) return;
  segment.group(group)->memory.uncharge(word.pages());
  count_uncharged(ledger, word.pages());
  threshold_events(segment, group, word.pages());
}

int64_t drain_all_stock(Segment& segment, uint32_t root) {
  int64_t pages = 0;
  const uint64_t now = sys::coarse_ms();
  const uint32_t used = segment.lines_used();
  for (uint32_t i = 0; i < used; ++i) {
    StockLine& line = *segment.line(i);
    if (line.owner.load(kRelaxed) == 0) continue;
    for (auto& slot : line.slots) {
      if (word_in_subtree(segment, StockWord(slot.load(kRelaxed)), root)) {
        pages += drain_word(segment, slot);
      }
    }
    pages += drain_reservation(segment, line, root, now);
  }
  return pages;
}

}  // namespace umemcg
