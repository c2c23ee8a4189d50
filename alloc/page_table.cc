#include "alloc/page_table.h"

#include <sys/mman.h>

#include "accounting/account.h"
#include "accounting/process.h"
#include "base/sys.h"

namespace umemcg {
namespace {

// 2^15 leaves of 2^16 slices of 2^16 bytes: 47 bits of address.
constexpr unsigned kLeafShift = 16;
constexpr size_t kLeafSlices = size_t{1} << kLeafShift;
constexpr size_t kLeaves = size_t{1} << 15;
constexpr size_t kLeafGates = kLeafSlices / kChunkSlices;

struct Leaf {
  Slice slices[kLeafSlices];
  ChunkGate gates[kLeafGates];
};

constinit std::atomic<Leaf*> leaves[kLeaves];
constinit std::atomic<uint32_t> lowest_leaf{kLeaves};
constinit std::atomic<uint32_t> highest_leaf{0};

bool map_leaf(uint32_t index) {
  // acquire and release below: whoever sees a leaf may use its memory, which
  // is zero, that is "reserved".
  if (leaves[index].load(std::memory_order_acquire) != nullptr) return true;
  int error;
  auto* leaf = static_cast<Leaf*>(
      sys::map_anonymous(sizeof(Leaf), PROT_READ | PROT_WRITE, &error));
  if (leaf == nullptr) return false;
  Leaf* none = nullptr;
  if (!leaves[index].compare_exchange_strong(none, leaf,
                                             std::memory_order_acq_rel)) {
    sys::unmap(leaf, sizeof(Leaf));  // another thread was first
  }
  return true;
}

constexpr PageTableMap kMap = {
    .magic = kPageTableMagic,
    .leaves = leaves,
    .leaf_count = kLeaves,
    .leaf_shift = kLeafShift,
    .slice_shift = kSliceShift,
    .row_size = sizeof(Slice),
    .word_offset = offsetof(Slice, word),
    .reserved = 0,
};
static_assert(offsetof(Leaf, slices) == 0);

void widen(uint32_t index) {
  uint32_t low = lowest_leaf.load(std::memory_order_relaxed);
  while (index < low && !lowest_leaf.compare_exchange_weak(
                            low, index, std::memory_order_relaxed)) {
  }
  uint32_t high = highest_leaf.load(std::memory_order_relaxed);
  while (index > high && !highest_leaf.compare_exchange_weak(
                             high, index, std::memory_order_relaxed)) {
  }
}

}  // namespace

Slice* find_slice(SliceNumber number) {
  uint32_t index = number >> kLeafShift;
  if (index >= kLeaves) return nullptr;
  Leaf* leaf = leaves[index].load(std::memory_order_acquire);
  return leaf != nullptr ? &leaf->slices[number & (kLeafSlices - 1)] : nullptr;
}

ChunkGate& chunk_gate(SliceNumber number) {
  Leaf* leaf = leaves[number >> kLeafShift].load(std::memory_order_relaxed);
  return leaf->gates[(number & (kLeafSlices - 1)) / kChunkSlices];
}

void ChunkGate::wait_for_purger(int round) { sys::pause(round); }

namespace {
template <typename Function>
void for_each_leaf(Function function) {
  const uint32_t last = highest_leaf.load(std::memory_order_relaxed);
  for (uint32_t i = lowest_leaf.load(std::memory_order_relaxed);
       i < kLeaves && i <= last; ++i) {
    Leaf* leaf = leaves[i].load(std::memory_order_acquire);
    if (leaf != nullptr) function(i, *leaf);
  }
}
}  // namespace

void for_each_slice(void (*visit)(SliceNumber, Slice&)) {
  for_each_leaf([visit](uint32_t index, Leaf& leaf) {
    SliceNumber number = index << kLeafShift;
    for (Slice& slice : leaf.slices) visit(number++, slice);
  });
}

void reset_chunk_gates() {
  for_each_leaf([](uint32_t, Leaf& leaf) {
    for (ChunkGate& gate : leaf.gates) gate.reset();
  });
}

bool map_page_table(uintptr_t start, size_t size) {
  if (size == 0) return true;
  uintptr_t last = (start + size - 1) >> (kSliceShift + kLeafShift);
  if (last >= kLeaves) return false;
  for (uintptr_t leaf = start >> (kSliceShift + kLeafShift); leaf <= last;
       ++leaf) {
    if (!map_leaf(static_cast<uint32_t>(leaf))) return false;
    widen(static_cast<uint32_t>(leaf));
  }
  return true;
}

PageTotals count_pages(uint32_t owner) {
  PageTotals totals;
  for_each_leaf([&totals, owner](uint32_t, const Leaf& leaf) {
    for (const Slice& slice : leaf.slices) {
      SliceWord word(slice.word.load(std::memory_order_relaxed));
      if (word.owner() == 0 || (owner != 0 && word.owner() != owner)) continue;
      totals.used += pages_in(word.used());
      totals.cached += pages_in(word.cached());
    }
  });
  return totals;
}

void publish_page_table() {
  ProcessSlot* slot = g_segment.process(this_process());
  if (slot == nullptr) return;
  auto address = [](const void* map) {
    return static_cast<uint64_t>(reinterpret_cast<uintptr_t>(map));
  };
  // release: whoever reads an address finds what it points to complete.
  slot->accounts.store(address(&account_map()), std::memory_order_release);
  slot->page_table.store(address(&kMap), std::memory_order_release);
}

}  // namespace umemcg
