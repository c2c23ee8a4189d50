// A word that goes up when something happens, and others that sleep until it
// does, in any process that maps it.
//
//   teller:   raises the word; if the mark is set: takes it away, raises the
//             word once more, wakes all
//   sleeper:  sets the mark; sleeps if the word is what it has seen
//
// Telling costs an addition as long as nobody sleeps. That somebody does is a
// mark, not a count, so one that is killed in its sleep leaves nothing behind.
// A teller may be late in taking the mark away, and take that of somebody who
// has come since and has seen all that was told: hence it raises the word
// again, which keeps that one from sleeping, or it sleeps already and is woken.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/sys.h"

namespace umemcg {

// Async-signal-safe.
inline void tell_news(std::atomic<uint32_t>& word,
                      std::atomic<uint32_t>& mark) {
  // seq_cst, all: pairs with wait_for_news().
  word.fetch_add(1, std::memory_order_seq_cst);
  if (mark.load(std::memory_order_seq_cst) == 0) return;
  mark.store(0, std::memory_order_seq_cst);
  word.fetch_add(1, std::memory_order_seq_cst);
  sys::futex_wake(reinterpret_cast<uint32_t*>(&word), INT32_MAX);
}

// Sleeps until the word is not `seen` any more, at most `timeout_ns`. May
// return before. What futex_wait() says.
inline int wait_for_news(std::atomic<uint32_t>& word,
                         std::atomic<uint32_t>& mark, uint32_t seen,
                         uint64_t timeout_ns) {
  // seq_cst, both: pairs with tell_news().
  mark.store(1, std::memory_order_seq_cst);
  if (word.load(std::memory_order_seq_cst) != seen) return 0;
  return sys::futex_wait(reinterpret_cast<uint32_t*>(&word), seen, timeout_ns);
}

}  // namespace umemcg
