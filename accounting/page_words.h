// The words of a page table, and how another program finds and reads them.
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
// The page table and the table of accounts are private memory of a process.
// What its slot in the domain publishes are the addresses (in that process) of
// two descriptors, which never change and say where the tables lie and how
// they are laid out; so a reader need not be of the same build:
//
//   ProcessSlot::page_table -> PageTableMap: leaves[leaf] -> rows of 64 KiB
//   each ProcessSlot::accounts   -> AccountMap: blocks[block] -> rows
//
// A reader takes them with process_vm_readv, and trusts none of it.
#pragma once

#include <cstddef>
#include <cstdint>

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

// One leaf holds the rows of 2^leaf_shift slices; leaf i those of the slices
// from i << leaf_shift on. A leaf that was never needed has the address 0.
struct PageTableMap {
  uint64_t magic;
  const void* leaves;  // of pointers
  uint32_t leaf_count;
  uint32_t leaf_shift;
  uint32_t slice_shift;
  uint32_t row_size;
  uint32_t word_offset;  // in a row: the SliceWord
  uint32_t reserved;
};

// Account `id` is row id % block_rows of block id / block_rows.
struct AccountMap {
  uint64_t magic;
  const void* blocks;  // of pointers
  uint32_t block_count;
  uint32_t block_rows;
  uint32_t row_size;
  // In a row: uint32_t, uint32_t, the uint64_t id of the group that `charged`
  // is the index of, and two bytes.
  uint32_t id_offset;
  uint32_t charged_offset;
  uint32_t charged_id_offset;
  uint32_t inherited_offset;
  uint32_t released_offset;
  uint32_t reserved;
};

inline constexpr uint64_t kPageTableMagic = 0x70616765732d3031;  // "10-segap"
inline constexpr uint64_t kAccountMagic = 0x6f776e6572732d32;    // "2-srenwo"

}  // namespace umemcg
