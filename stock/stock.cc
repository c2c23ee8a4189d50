#include "stock/stock.h"

#include "accounting/gate.h"
#include "accounting/mem_cgroup.h"
#include "accounting/process.h"
#include "accounting/psi.h"
#include "accounting/rows.h"
#include "base/fault_point.h"
#include "base/sys.h"
#include "stock/current.h"
#include "stock/obj_stock.h"
#include "stock/press.h"

namespace umemcg {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

// Reservation of a thread without a line.
constinit UMEMCG_TLS std::atomic<uint64_t> t_reservation{0};
constinit UMEMCG_TLS uint32_t t_victim = 0;
// In the middle of acquire_line().
constinit UMEMCG_TLS std::atomic<bool> t_acquiring{false};
constinit std::atomic<uint32_t> line_hint{0};

void do_nothing() {}

// Takes a word of this process out of its line, and gives its pages back.
void settle(std::atomic<uint64_t>& slot) {
  if (slot.load(kRelaxed) == 0) return;
  ChargeSection section;
  settle_word(g_segment, StockWord(slot.exchange(0, kRelaxed)));
}

// Adds to a slot of this ledger. What others took out of it is settled with the
// ledger on the way. False if the slot is not (or no more) this ledger's.
bool add_to_word(std::atomic<uint64_t>& slot, uint32_t ledger, uint32_t pages) {
  uint64_t bits = slot.load(kRelaxed);
  while (StockWord(bits).ledger() == ledger) {
    const StockWord word(bits);
    const uint32_t sum = word.pages() + pages;
    const bool full = sum > kChargeBatch;
    const StockWord next = full ? StockWord() : StockWord(ledger, sum);
    if (!slot.compare_exchange_weak(bits, next.bits(), kRelaxed)) continue;
    settle_word(g_segment, full ? word.with_pages(sum) : word.with_pages(0));
    return true;
  }
  return false;
}

// Adds to the slot of this ledger, or takes an empty one; false if there is
// none.
bool add_to_slot(StockLine& line, uint32_t ledger, uint32_t pages) {
  std::atomic<uint64_t>* empty = nullptr;
  for (auto& slot : line.slots) {
    if (add_to_word(slot, ledger, pages)) return true;
    const bool free = StockWord(slot.load(kRelaxed)).pages() == 0;
    if (free && empty == nullptr) empty = &slot;
  }
  if (empty == nullptr) return false;
  const uint64_t word = StockWord(ledger, pages).bits();
  settle_word(g_segment, StockWord(empty->exchange(word, kRelaxed)));
  return true;
}

}  // namespace

constinit Hook<void()> g_line_acquired_hook{do_nothing};

// In a section: a word that leaves its slot is in nothing but a register until
// it is settled.
void refill_stock(Account& account, uint32_t pages) {
  StockLine* line = thread_line();
  if (pages == 0) return;
  if (line == nullptr || pages > kChargeBatch) {
    account_uncharge(account, pages);
    return;
  }
  ChargeSection section;
  if (add_to_slot(*line, account.ledger_index, pages)) return;
  auto& victim = line->slots[t_victim++ % kStockSlots];
  const uint64_t word = StockWord(account.ledger_index, pages).bits();
  settle_word(g_segment, StockWord(victim.exchange(word, kRelaxed)));
}

uint32_t batch_size(const Account& account) {
  constexpr int64_t kAlwaysAllowed = 16 * kMiB >> kPageShift;
  int64_t batch = kChargeBatch;
  uint32_t group = account.charged.load(kRelaxed);
  for (int level = 0; level <= kMaxDepth && group != kNone; ++level) {
    Group* row = g_segment.group(group);
    if (pressed(*row)) return 0;
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
  for (auto& slot : line->slots) settle(slot);
}

void drain_own_stock_of(const Account& account) {
  StockLine* line = thread_line();
  if (line == nullptr) return;
  for (auto& slot : line->slots) {
    if (StockWord(slot.load(kRelaxed)).ledger() == account.ledger_index) {
      settle(slot);
    }
  }
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
  if (line == nullptr) return nullptr;
  fault_point("a line is claimed");
  line->thread.store(sys::thread_id(), kRelaxed);
  line->reservation_ms.store(0, kRelaxed);
  line->busy.store(0, kRelaxed);
  line->object.store(0, kRelaxed);
  line->stalled.store(0, kRelaxed);
  line->group.store(0, kRelaxed);
  return line;
}

// Of a thread that ends where it stands still.
void forget_stall(StockLine& line) {
  if (line.stalled.load(kRelaxed) == 0) return;
  ChargeSection section;
  psi_forget_line(g_segment, line);
}

void give_back_line(StockLine& line) {
  drain_object_word(line);
  settle(line.reservation);
  for (auto& slot : line.slots) settle(slot);
  forget_stall(line);
  {
    ChargeSection section;
    flush_stat_line(g_segment, line);
    line.stat_ledger.store(0, kRelaxed);
  }
  line.group.store(0, kRelaxed);
  fault_point("a line is settled, but not free");
  // release: pairs with claim_row().
  line.owner.store(0, std::memory_order_release);
}
}  // namespace

namespace {
// The home account when the thread took its line: it counts the thread.
constinit UMEMCG_TLS Account* t_counted = nullptr;

void count_thread(int by) {
  if (by > 0) t_counted = g_home_account.load(std::memory_order_acquire);
  if (t_counted != nullptr) count_group_thread(*t_counted, by);
}
}  // namespace

void count_group_thread(Account& account, int by) {
  if (account.inherited.load(kRelaxed)) return;  // its thread is the parent's
  ChargeSection section;
  account.ledger->threads.fetch_add(static_cast<uint32_t>(by), kRelaxed);
  fault_point("between the ledger's threads and the groups'");
  add_to_ancestors(g_segment, account.charged.load(kRelaxed), &Group::threads,
                   by);
}

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
  if (line == nullptr) return;
  count_thread(+1);
  g_line_acquired_hook();
}

void release_line() {
  StockLine* line = thread_line();
  set_thread_line(nullptr);
  drop_reservation();
  if (line == nullptr) return;
  give_back_line(*line);
  count_thread(-1);
}

void leave_parents_line() {
  set_thread_line(nullptr);
  t_reservation.store(0, kRelaxed);
  t_counted = nullptr;
}

// Threads that were in a section are cut off there: a recount finds what they
// had not written down.
void release_other_lines() {
  bool busy = false;
  ProcessSlot* slot = g_segment.process(this_process());
  const uint32_t own = thread_line() == nullptr ? t_charge_depth : 0;
  if (slot != nullptr) busy = slot->busy.exchange(own, kRelaxed) != own;
  for (uint32_t i = 0; i < g_segment.lines_used(); ++i) {
    StockLine* line = g_segment.line(i);
    if (line == nullptr || line == thread_line() ||
        line->owner.load(kRelaxed) == 0) {
      continue;
    }
    busy |= line->busy.exchange(0, kRelaxed) != 0;
    give_back_line(*line);
  }
  if (busy) g_segment.header().recount_due.store(1, kRelaxed);
  // Of the threads that were counted the calling one alone is here.
  for (uint32_t id = 1; id <= account_count(); ++id) {
    Account& account = *account_at(id);
    if (account.group_id == 0) continue;
    const uint32_t here = &account == t_counted ? 1 : 0;
    const uint32_t others = account.ledger->threads.load(kRelaxed) - here;
    count_group_thread(account, -static_cast<int>(others));
  }
}

std::atomic<uint64_t>& reservation_word() {
  StockLine* line = thread_line();
  return line != nullptr ? line->reservation : t_reservation;
}

void reserve_pages(Account& account, uint32_t pages) {
  StockLine* line = thread_line();
  if (line != nullptr) line->reservation_ms.store(sys::coarse_ms(), kRelaxed);
  if (pages > kMostStockPages) {
    account_uncharge(account, pages);
    return;
  }
  const uint64_t word = StockWord(account.ledger_index, pages).bits();
  ChargeSection section;
  // release: pairs with drain_reservation().
  settle_word(g_segment, StockWord(reservation_word().exchange(
                             word, std::memory_order_release)));
}

uint32_t take_reservation(Account& account, uint32_t pages) {
  std::atomic<uint64_t>& word = reservation_word();
  if (word.load(kRelaxed) == 0) return 0;
  ChargeSection section;
  const StockWord got(word.exchange(0, kRelaxed));
  fault_point("a reservation is taken");
  uint32_t taken = 0;
  if (got.ledger() == account.ledger_index) {
    taken = got.pages() < pages ? got.pages() : pages;
  }
  settle_word(g_segment, got.with_pages(got.pages() - taken));
  return taken;
}

void drop_reservation() { settle(reservation_word()); }

}  // namespace umemcg
