// The charge stock: pages that a thread has charged ahead, so that most
// charges touch nothing but the thread's own line. memcg_stock_pcp in Linux,
// per thread instead of per CPU.
//
// A slot is one word (accounting/stock_word.h). Its thread consumes by
// compare-and-swap; a drain, from any thread of any process of the domain,
// takes the pages by one compare-and-swap too. So the pages of an idle, stopped
// or killed thread are never out of reach, and no signal or lock is needed. All
// orders are relaxed: a word carries its own meaning and guards nothing else.
//
//   try_charge (charge.h)
//     consume_stock    hit: done
//     miss: counter by the batch, the rest to refill_stock
//       refill_stock   no slot free: another group's slot is drained
#pragma once

#include <cstdint>

#include "accounting/account.h"
#include "accounting/stat_line.h"
#include "accounting/stock_word.h"
#include "base/attributes.h"
#include "base/hook.h"

namespace umemcg {

inline constexpr uint32_t kChargeBatch = 32;

// Takes `pages` that were charged ahead for this account; false if the thread
// has not as many.
UMEMCG_FAST bool consume_stock(const Account& account, uint32_t pages) {
  StockLine* line = thread_line();
  if (UMEMCG_UNLIKELY(line == nullptr)) return false;
  for (auto& slot : line->slots) {
    uint64_t word = slot.load(std::memory_order_relaxed);
    while (StockWord(word).ledger() == account.ledger_index &&
           StockWord(word).pages() >= pages) {
      if (slot.compare_exchange_weak(word, word - pages,
                                     std::memory_order_relaxed)) {
        return true;
      }
    }
  }
  return false;
}

// Puts charged pages into the thread's stock. A slot that would exceed the
// batch is given back whole; without a line the pages go straight back.
void refill_stock(Account& account, uint32_t pages);

// How many pages to charge ahead for this account now: kChargeBatch, less
// when the threads of a limited subtree could strand too much of the limit
// between them: max(0.5 % of it, 16 MiB) over all slots of all threads. None
// while a group above is pressed (press.h).
uint32_t batch_size(const Account& account);

// Gives back what the calling thread has charged ahead.
void drain_own_stock();
// The same for one account alone.
void drain_own_stock_of(const Account& account);

// The calling thread's line: taken at its first charge, given back with its
// stock and counts when it ends. Without a free line the thread works on
// without a stock.
void acquire_line();
void release_line();

// Called when a thread has taken a line, so that it gives it back at its end.
extern constinit Hook<void()> g_line_acquired_hook;

// One thread more (or less) may have a stock for this account's group.
void count_group_thread(Account& account, int by);

// In the child of a fork within a domain: the calling thread's line, and what
// it held without one, are its parent's.
void leave_parents_line();

// In the child of a fork of a lone process: gives back the lines that threads
// of the parent had.
void release_other_lines();

// The word that holds what reclaim has won for this thread's allocation.
std::atomic<uint64_t>& reservation_word();
// Keeps `pages` charged for the allocation that waits; what is more than a word
// holds (16 GiB) is given back at once, and charged again by that allocation.
void reserve_pages(Account& account, uint32_t pages);
// Takes up to `pages` of the reservation, and gives back the rest of it. The
// pages taken.
uint32_t take_reservation(Account& account, uint32_t pages);
void drop_reservation();

}  // namespace umemcg
