#include "stock/stock.h"

#include "accounting/mem_cgroup.h"
#include "accounting/process.h"
#include "accounting/rows.h"
#include "base/sys.h"
#include "stock/current.h"

namespace umemcg {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr int64_t kStaleReservationMs = 10;

// Reservation of a thread without a line.
constinit UMEMCG_TLS std::atomic<uint64_t> t_reservation{0};
constinit UMEMCG_TLS uint32_t t_victim = 0;
// In the middle of acquire_line().
constinit UMEMCG_TLS std::atomic<bool> t_acquiring{false};
constinit std::atomic<uint32_t> line_hint{0};

void do_nothing() {}

uint32_t pages_of(uint64_t word) { return static_cast<uint32_t>(word); }

// Uncharges what a word that was taken out of a line stood for. The ledger is
// found by the word, so it may be any process's.
int64_t give_back(Segment& segment, uint64_t word) {
  const int64_t pages = pages_of(word);
  uint32_t index = static_cast<uint32_t>(word >> 32);
  if (pages == 0 || index == 0) return 0;
  Ledger* ledger = segment.ledger(index - 1);
  uint64_t owner = ledger != nullptr ? ledger->owner.load(kRelaxed) : 0;
  Group* group = owner != 0 ? segment.group(owner_group(owner)) : nullptr;
  if (group == nullptr) return 0;
  // The word's process may have died and been reaped since the word was taken:
  // then its ledger has been given back whole, this word included.
  if (ledger->pages.fetch_sub(pages, kRelaxed) < pages) {
    ledger->pages.fetch_add(pages, kRelaxed);
    return 0;
  }
  ledger->stat[static_cast<int>(Stat::kUncharged)].fetch_add(pages, kRelaxed);
  group->memory.uncharge(pages);
  return pages;
}

bool word_in_subtree(Segment& segment, uint64_t word, uint32_t root) {
  if (pages_of(word) == 0) return false;
  Ledger* ledger = segment.ledger(static_cast<uint32_t>(word >> 32) - 1);
  uint64_t owner = ledger != nullptr ? ledger->owner.load(kRelaxed) : 0;
  return owner != 0 && in_subtree(segment, owner_group(owner), root);
}

int64_t drain_word(Segment& segment, std::atomic<uint64_t>& word,
                   uint32_t root) {
  if (!word_in_subtree(segment, word.load(kRelaxed), root)) return 0;
  // What is taken may be newer than what was looked at; it is given back to
  // whom it belongs all the same.
  return give_back(segment, word.exchange(0, kRelaxed));
}

// A reservation is left alone while it is fresh, which one made since `now` was
// read is too (hence the signed age). Only the word that was looked at is
// taken; one of the same pages made in between may be mistaken for it, if the
// former was stale: that allocation then charges again.
int64_t drain_reservation(Segment& segment, StockLine& line, uint32_t root,
                          uint64_t now) {
  // acquire: pairs with reserve_pages(), whose time is the word's.
  uint64_t word = line.reservation.load(std::memory_order_acquire);
  if (!word_in_subtree(segment, word, root)) return 0;
  auto age = static_cast<int64_t>(now - line.reservation_ms.load(kRelaxed));
  if (age <= kStaleReservationMs ||
      !line.reservation.compare_exchange_strong(word, 0, kRelaxed)) {
    return 0;
  }
  return give_back(segment, word);
}

// Adds to the slot of this ledger, or takes an empty one; false if there is
// none.
bool add_to_slot(StockLine& line, uint32_t ledger_index, uint32_t pages) {
  std::atomic<uint64_t>* empty = nullptr;
  for (auto& slot : line.slots) {
    uint64_t word = slot.load(kRelaxed);
    while (word >> 32 == ledger_index + 1) {
      uint32_t sum = pages_of(word) + pages;
      uint64_t next = sum > kChargeBatch ? 0 : stock_word(ledger_index, sum);
      if (!slot.compare_exchange_weak(word, next, kRelaxed)) continue;
      if (next == 0) give_back(g_segment, stock_word(ledger_index, sum));
      return true;
    }
    if (pages_of(word) == 0 && empty == nullptr) empty = &slot;
  }
  if (empty == nullptr) return false;
  uint64_t old = empty->exchange(stock_word(ledger_index, pages), kRelaxed);
  give_back(g_segment, old);  // only a signal handler puts something there
  return true;
}

}  // namespace

constinit Hook<void()> g_line_acquired_hook{do_nothing};

void refill_stock(Account& account, uint32_t pages) {
  StockLine* line = thread_line();
  if (pages == 0) return;
  if (line == nullptr || pages > kChargeBatch) {
    account_uncharge(account, pages);
    return;
  }
  if (add_to_slot(*line, account.ledger_index, pages)) return;
  auto& victim = line->slots[t_victim++ % kStockSlots];
  give_back(g_segment,
            victim.exchange(stock_word(account.ledger_index, pages), kRelaxed));
}

uint32_t batch_size(const Account& account) {
  constexpr int64_t kAlwaysAllowed = 16 * kMiB >> kPageShift;
  int64_t batch = kChargeBatch;
  uint32_t group = account.group;
  for (int level = 0; level <= kMaxDepth && group != kNone; ++level) {
    Group* row = g_segment.group(group);
    int64_t max = row->memory.max();
    if (max != kPageCounterMax) {
      int64_t allowed = max / 200 > kAlwaysAllowed ? max / 200 : kAlwaysAllowed;
      int64_t slots = int64_t{row->threads.load(kRelaxed)} * kStockSlots;
      if (slots > 0 && allowed / slots < batch) batch = allowed / slots;
    }
    group = parent_group(g_segment, group);
  }
  return static_cast<uint32_t>(batch);
}

void drain_own_stock() {
  StockLine* line = thread_line();
  if (line == nullptr) return;
  for (auto& slot : line->slots) {
    give_back(g_segment, slot.exchange(0, kRelaxed));
  }
}

int64_t drain_all_stock(Segment& segment, uint32_t root) {
  int64_t pages = 0;
  const uint64_t now = sys::coarse_ms();
  const uint32_t used = segment.lines_used();
  for (uint32_t i = 0; i < used; ++i) {
    StockLine& line = *segment.line(i);
    if (line.owner.load(kRelaxed) == 0) continue;
    for (auto& slot : line.slots) pages += drain_word(segment, slot, root);
    pages += drain_reservation(segment, line, root, now);
  }
  return pages;
}

namespace {
// A free line, made this thread's; null if there is none.
StockLine* claim_line() {
  SegmentHeader& header = g_segment.header();
  uint32_t hint = line_hint.load(kRelaxed);
  uint32_t index =
      claim_row(g_segment.line_count(), &hint, this_process() + 1,
                header.lines_high, [](uint32_t i) -> std::atomic<uint32_t>& {
                  return g_segment.line(i)->owner;
                });
  if (index == kNone) return nullptr;
  line_hint.store(index, kRelaxed);
  StockLine* line = g_segment.line(index);
  line->thread.store(sys::thread_id(), kRelaxed);
  line->reservation_ms.store(0, kRelaxed);
  Account* account = g_process_account.load(std::memory_order_acquire);
  if (account != nullptr) {
    // Counted before it is written down: see fill_slot() in process.cc.
    add_to_ancestors(g_segment, account->group, &Group::threads, +1);
    line->group.store(account->group + 1, kRelaxed);
  }
  return line;
}

void give_back_line(StockLine& line) {
  give_back(g_segment, line.reservation.exchange(0, kRelaxed));
  for (auto& slot : line.slots) {
    give_back(g_segment, slot.exchange(0, kRelaxed));
  }
  flush_stat_line(g_segment, line);
  line.stat_ledger.store(0, kRelaxed);
  uint32_t group = line.group.exchange(0, kRelaxed);
  if (group != 0) add_to_ancestors(g_segment, group - 1, &Group::threads, -1);
  // release: pairs with claim_row().
  line.owner.store(0, std::memory_order_release);
}
}  // namespace

// A signal handler that gets here in the middle of it works without a line: a
// thread has one at most.
void acquire_line() {
  // acquire and release: they keep what is between them there.
  if (t_acquiring.exchange(true, std::memory_order_acquire)) return;
  StockLine* line = thread_line() == nullptr ? claim_line() : nullptr;
  if (line != nullptr) {
    drop_reservation();  // one made without a line would be out of reach
    set_thread_line(line);
  }
  t_acquiring.store(false, std::memory_order_release);
  if (line != nullptr) g_line_acquired_hook();
}

void release_line() {
  StockLine* line = thread_line();
  set_thread_line(nullptr);
  drop_reservation();
  if (line != nullptr) give_back_line(*line);
}

void release_other_lines() {
  for (uint32_t i = 0; i < g_segment.lines_used(); ++i) {
    StockLine* line = g_segment.line(i);
    if (line == thread_line() || line->owner.load(kRelaxed) == 0) continue;
    give_back_line(*line);
  }
}

std::atomic<uint64_t>& reservation_word() {
  StockLine* line = thread_line();
  return line != nullptr ? line->reservation : t_reservation;
}

void reserve_pages(Account& account, uint32_t pages) {
  StockLine* line = thread_line();
  if (line != nullptr) line->reservation_ms.store(sys::coarse_ms(), kRelaxed);
  // release: pairs with drain_reservation().
  give_back(g_segment,
            reservation_word().exchange(stock_word(account.ledger_index, pages),
                                        std::memory_order_release));
}

uint32_t take_reservation(Account& account, uint32_t pages) {
  std::atomic<uint64_t>& word = reservation_word();
  if (word.load(kRelaxed) == 0) return 0;
  uint64_t got = word.exchange(0, kRelaxed);
  if (got >> 32 != account.ledger_index + 1) {
    give_back(g_segment, got);
    return 0;
  }
  uint32_t taken = pages_of(got) < pages ? pages_of(got) : pages;
  give_back(g_segment, got - taken);
  return taken;
}

void drop_reservation() {
  std::atomic<uint64_t>& word = reservation_word();
  if (word.load(kRelaxed) != 0)
    give_back(g_segment, word.exchange(0, kRelaxed));
}

}  // namespace umemcg
