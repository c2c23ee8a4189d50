// Claiming a free row of a table of the segment, lock-free.
#pragma once

#include <atomic>
#include <cstdint>

#include "accounting/layout.h"

namespace umemcg {

// Raises a table's high-water mark so that scans see row `index`.
inline void raise_high(std::atomic<uint32_t>& high, uint32_t index) {
  uint32_t seen = high.load(std::memory_order_relaxed);
  while (seen <= index &&
         // release: pairs with the acquire in Segment's ..._used().
         !high.compare_exchange_weak(seen, index + 1, std::memory_order_release,
                                     std::memory_order_relaxed)) {
  }
}

// Looks for a row whose `owner` word is 0, from `*hint` on and round, and puts
// `value` there (acq_rel: what its last user wrote is seen, see reap_line()).
// The row's index, or kNone when the table is full. `owner_of` gives a row's
// word.
template <typename Word, typename OwnerOf>
uint32_t claim_row(uint32_t rows, uint32_t* hint, Word value,
                   std::atomic<uint32_t>& high, OwnerOf owner_of) {
  for (uint32_t tried = 0; tried < rows; ++tried) {
    uint32_t index = *hint + tried;
    if (index >= rows) index %= rows;
    std::atomic<Word>& owner = owner_of(index);
    Word free = 0;
    if (owner.load(std::memory_order_relaxed) == 0 &&
        owner.compare_exchange_strong(free, value, std::memory_order_acq_rel,
                                      std::memory_order_relaxed)) {
      raise_high(high, index);
      *hint = index;
      return index;
    }
  }
  return kNone;
}

}  // namespace umemcg
