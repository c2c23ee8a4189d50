// The page table: owner and state of every page that the allocator has.
//
// A word stands for a slice of 16 pages (accounting/page_words.h says what is
// in it), and a page of it goes through these states:
//
//   page:  reserved --commit--> used --decommit--> cached --commit--> used
//                                                  cached --purge--> reserved
//
// Who may write a word: mimalloc gives each slice to one thread at a time, so
// commit and decommit have it for themselves but for purging. They enter the
// gate of their chunk (64 slices), of which purging takes slices only when
// nobody is inside; so both change words by plain stores, at the price of two
// atomic operations for 4 MiB. A slice that says `purging` is the purger's,
// gate or no gate, until it has called the system; whoever wants it waits.
//
// Lookup is lock-free and works for any address: two levels, of which the
// lower is mapped for 4 GiB of addresses at a time and never unmapped.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "accounting/page_words.h"
#include "base/attributes.h"
#include "base/units.h"

namespace umemcg {

// One slice's row. `next` and `cached_ms` belong to whoever has the slice in
// the queue (alloc/cached.h).
struct Slice {
  std::atomic<uint64_t> word;
  std::atomic<uint32_t> next;
  std::atomic<uint32_t> cached_ms;

  // acquire: pairs with the releases below, so whoever finds a slice cached
  // sees what its last user did.
  SliceWord load() const {
    return SliceWord(word.load(std::memory_order_acquire));
  }
  void store(SliceWord value) {
    word.store(value.bits(), std::memory_order_release);
  }
};

// The gate of a chunk: many inside, or one purger. Never waited for by a
// purger, and by others only for as long as a purger marks slices.
class ChunkGate {
 public:
  // acquire: pairs with leave_alone(), so the purger's marks are seen.
  void enter() {
    uint32_t inside = state_.load(std::memory_order_relaxed);
    for (int round = 0;;) {
      if (UMEMCG_UNLIKELY((inside & kAlone) != 0)) {
        wait_for_purger(round++);
        inside = state_.load(std::memory_order_relaxed);
      } else if (state_.compare_exchange_weak(inside, inside + 1,
                                              std::memory_order_acquire,
                                              std::memory_order_relaxed)) {
        return;
      }
    }
  }
  // release: pairs with try_enter_alone(), so what was stored here is seen.
  void leave() { state_.fetch_sub(1, std::memory_order_release); }

  bool try_enter_alone() {
    uint32_t nobody = 0;
    return state_.compare_exchange_strong(
        nobody, kAlone, std::memory_order_acquire, std::memory_order_relaxed);
  }
  void enter_alone() {
    for (int round = 0; !try_enter_alone(); ++round) wait_for_purger(round);
  }
  void leave_alone() { state_.store(0, std::memory_order_release); }

  // Whether the chunk is charged by compounds (alloc/compound.h). Set before
  // anything in it is committed.
  bool compounds() const { return compounds_.load(std::memory_order_relaxed); }
  void allow_compounds() { compounds_.store(true, std::memory_order_relaxed); }

  // REQUIRES: no other thread of the process runs (the child of a fork).
  void reset() { state_.store(0, std::memory_order_relaxed); }

 private:
  static constexpr uint32_t kAlone = uint32_t{1} << 31;
  static void wait_for_purger(int round);

  std::atomic<uint32_t> state_;
  std::atomic<bool> compounds_;
};

inline constexpr unsigned kChunkSlices = 64;

using SliceNumber = uint32_t;  // address >> 16

inline SliceNumber slice_number(uintptr_t address) {
  return static_cast<SliceNumber>(address >> kSliceShift);
}
inline uintptr_t slice_address(SliceNumber number) {
  return uintptr_t{number} << kSliceShift;
}

// The row of a slice, or null if nothing near it was ever given to the
// allocator.
Slice* find_slice(SliceNumber number);

inline Slice* find_slice_of(const void* address) {
  return find_slice(slice_number(reinterpret_cast<uintptr_t>(address)));
}

// Calls visit(number, slice) for every row of the table.
void for_each_slice(void (*visit)(SliceNumber, Slice&));

// The gate of the chunk that the slice is in. REQUIRES: find_slice() finds it.
ChunkGate& chunk_gate(SliceNumber number);

// In the child of a fork: whoever was inside a gate is not here.
void reset_chunk_gates();

// Makes rows for [start, start + size); false when there is no memory for it.
bool map_page_table(uintptr_t start, size_t size);

struct PageTotals {
  int64_t used = 0;
  int64_t cached = 0;
};
// Counts the pages of one owner (an account's id; 0: of all) over the whole
// table. For tests and audits: it looks at every slice.
PageTotals count_pages(uint32_t owner);

// Tells other programs where this process's tables are (page_words.h), in its
// slot of the domain. REQUIRES: the process is attached.
void publish_page_table();

}  // namespace umemcg
