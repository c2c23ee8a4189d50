// A word of a charge stock, and taking pages out of one.
//
// A word is {ledger + 1 : 20, given : 22, pages : 22}. `pages` are charged
// ahead. The thread whose line it is consumes them by compare-and-swap. Whoever
// drains them, from any process, moves them to `given` in one
// compare-and-swap, and then uncharges them from the counters; the ledger
// itself is its own process's alone to write. So at every moment
//
//   ledger.pages - (given in all words that name it)
//
// is what the process has charged, whoever is killed where: nothing that only
// a register knew is ever lost. The owner folds `given` into its ledger when it
// refills the word.
#pragma once

#include <cstdint>

#include "accounting/segment.h"

namespace umemcg {

inline constexpr uint32_t kStockPagesBits = 22;
inline constexpr uint32_t kMostStockPages = (1u << kStockPagesBits) - 1;
// Ledger indices must fit a word.
inline constexpr uint32_t kMostLedgers = (1u << 20) - 2;

class StockWord {
 public:
  constexpr StockWord() = default;
  constexpr explicit StockWord(uint64_t bits) : bits_(bits) {}
  constexpr StockWord(uint32_t ledger, uint32_t pages)
      : bits_((uint64_t{ledger} + 1) << 44 | pages) {}

  constexpr bool operator==(const StockWord&) const = default;
  constexpr uint64_t bits() const { return bits_; }
  constexpr uint32_t pages() const {
    return static_cast<uint32_t>(bits_) & kMostStockPages;
  }
  constexpr uint32_t given() const {
    return static_cast<uint32_t>(bits_ >> kStockPagesBits) & kMostStockPages;
  }
  // kNone if the word is empty.
  constexpr uint32_t ledger() const {
    return static_cast<uint32_t>(bits_ >> 44) - 1;
  }
  constexpr bool empty() const { return bits_ == 0; }
  constexpr StockWord with_pages(uint32_t pages) const {
    return StockWord((bits_ & ~uint64_t{kMostStockPages}) | pages);
  }
  // All pages given; itself if there is no room to write that down.
  constexpr StockWord drained() const {
    const uint32_t sum = given() + pages();
    if (sum > kMostStockPages) return *this;
    return StockWord(bits_ >> 44 << 44 | uint64_t{sum} << kStockPagesBits);
  }

 private:
  uint64_t bits_ = 0;
};

// The group whose pages are in the word, or kNone.
uint32_t group_of_word(Segment& segment, StockWord word);

// Gives back the pages in a word of any line. Returns the pages.
int64_t drain_word(Segment& segment, std::atomic<uint64_t>& word);

// The same for a word that the calling process has taken out of a line of its
// own: its pages, and what others took before, leave the ledger.
void settle_word(Segment& segment, StockWord word);

// Gives back what all threads of all processes have charged ahead for the
// groups in the subtree of `root`, and reservations that were not taken up
// within 10 ms. Returns the pages.
int64_t drain_all_stock(Segment& segment, uint32_t root);

}  // namespace umemcg
