// The page table: owner and state of every page that the allocator has.
//
// One word stands for a slice of 16 pages (64 KiB, the unit in which mimalloc
// hands memory around; a slice belongs to one mimalloc page, hence to one
// heap and one group at a time):
//
//   bits  0-15  used:   page i is handed out, charged to the owner
//   bits 16-31  cached: page i is free but resident, still charged to it
//   bits 32-55  owner:  id of the account (0: all pages are reserved)
//   bit  56     purging: cached pages are being given back; a committer waits
//   bit  57     queued: the slice is in a stack of cached slices
//   bit  58     refault: reclaim took cached pages from here
//   bit  59     compound: a charged 2 MiB begins here (alloc/compound.h)
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

#include "base/attributes.h"
#include "base/units.h"

namespace umemcg {

inline constexpr size_t kSliceShift = 16;
inline constexpr size_t kSliceSize = size_t{1} << kSliceShift;
inline constexpr unsigned kSlicePages = kSliceSize / kPageSize;

class SliceWord {
 public:
  constexpr SliceWord() = default;
  constexpr explicit SliceWord(uint64_t bits) : bits_(bits) {}

  constexpr bool operator==(const SliceWord&) const = default;

  uint64_t bits() const { return bits_; }
  uint32_t used() const { return static_cast<uint32_t>(bits_ & kMask); }
  uint32_t cached() const { return static_cast<uint32_t>(bits_ >> 16 & kMask); }
  uint32_t owner() const {
    return static_cast<uint32_t>(bits_ >> 32 & 0xffffff);
  }
  bool purging() const { return (bits_ & kPurging) != 0; }
  bool queued() const { return (bits_ & kQueued) != 0; }
  bool refault() const { return (bits_ & kRefault) != 0; }
  bool compound() const { return (bits_ & kCompound) != 0; }

  SliceWord with_used(uint32_t mask) const {
    return SliceWord((bits_ & ~kMask) | mask);
  }
  SliceWord with_cached(uint32_t mask) const {
    return SliceWord((bits_ & ~(kMask << 16)) | uint64_t{mask} << 16);
  }
  SliceWord with_owner(uint32_t owner) const {
    return SliceWord((bits_ & ~(uint64_t{0xffffff} << 32)) | uint64_t{owner}
                                                                 << 32);
  }
  SliceWord with_purging(bool on) const { return with(kPurging, on); }
  SliceWord with_queued(bool on) const { return with(kQueued, on); }
  // The marks that do not depend on the pages' state, from another word.
  SliceWord with_marks_of(SliceWord other) const {
    return SliceWord(bits_ | (other.bits_ & (kQueued | kCompound)));
  }
  SliceWord with_refault(bool on) const { return with(kRefault, on); }
  SliceWord with_compound(bool on) const { return with(kCompound, on); }

 private:
  static constexpr uint64_t kMask = 0xffff;
  static constexpr uint64_t kPurging = uint64_t{1} << 56;
  static constexpr uint64_t kQueued = uint64_t{1} << 57;
  static constexpr uint64_t kRefault = uint64_t{1} << 58;
  static constexpr uint64_t kCompound = uint64_t{1} << 59;

  SliceWord with(uint64_t flag, bool on) const {
    return SliceWord(on ? bits_ | flag : bits_ & ~flag);
  }

  uint64_t bits_ = 0;
};

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

// Pages of [from, to) that lie in the slice, as a mask.
inline uint32_t page_mask(uintptr_t slice, uintptr_t from, uintptr_t to) {
  unsigned first =
      from > slice ? static_cast<unsigned>((from - slice) >> kPageShift) : 0;
  unsigned last = to < slice + kSliceSize
                      ? static_cast<unsigned>((to - slice) >> kPageShift)
                      : kSlicePages;
  return ((1u << last) - 1) & ~((1u << first) - 1);
}

// How many pages a mask has. (The compiler's own popcount is a call on a
// baseline x86-64.)
constexpr int64_t pages_in(uint32_t mask) {
  if (mask == 0xffff) return 16;
  mask = mask - (mask >> 1 & 0x5555);
  mask = (mask & 0x3333) + (mask >> 2 & 0x3333);
  mask = (mask + (mask >> 4)) & 0x0f0f;
  return (mask + (mask >> 8)) & 0x1f;
}

struct PageTotals {
  int64_t used = 0;
  int64_t cached = 0;
};
// Counts the pages of one owner (an account's id; 0: of all) over the whole
// table. For tests and audits: it looks at every slice.
PageTotals count_pages(uint32_t owner);

}  // namespace umemcg
