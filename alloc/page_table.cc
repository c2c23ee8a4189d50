#include "alloc/page_table.h"

#include <sys/mman.h>

#include "base/sys.h"

namespace umemcg {
namespace {

// 2^15 leaves of 2^16 slices of 2^16 bytes: 47 bits of address.
constexpr unsigned kLeafShift = 16;
constexpr size_t kLeafSlices = size_t{1} << kLeafShift;
constexpr size_t kLeaves = size_t{1} << 15;

constinit std::atomic<Slice*> leaves[kLeaves];
constinit std::atomic<uint32_t> lowest_leaf{kLeaves};
constinit std::atomic<uint32_t> highest_leaf{0};

bool map_leaf(uint32_t index) {
  // acquire and release below: whoever sees a leaf may use its memory, which
  // is zero, that is "reserved".
  if (leaves[index].load(std::memory_order_acquire) != nullptr) return true;
  int error;
  auto* leaf = static_cast<Slice*>(sys::map_anonymous(
      kLeafSlices * sizeof(Slice), PROT_READ | PROT_WRITE, &error));
  if (leaf == nullptr) return false;
  Slice* none = nullptr;
  if (!leaves[index].compare_exchange_strong(none, leaf,
                                             std::memory_order_acq_rel)) {
    sys::unmap(leaf, kLeafSlices * sizeof(Slice));  // another thread was first
  }
  return true;
}

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
  Slice* leaf = leaves[index].load(std::memory_order_acquire);
  return leaf != nullptr ? leaf + (number & (kLeafSlices - 1)) : nullptr;
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
  for (uint32_t i = lowest_leaf.load(std::memory_order_relaxed);
       i < kLeaves && i <= highest_leaf.load(std::memory_order_relaxed); ++i) {
    Slice* leaf = leaves[i].load(std::memory_order_acquire);
    if (leaf == nullptr) continue;
    for (size_t s = 0; s < kLeafSlices; ++s) {
      SliceWord word(leaf[s].word.load(std::memory_order_relaxed));
      if (word.owner() == 0 || (owner != 0 && word.owner() != owner)) continue;
      totals.used += pages_in(word.used());
      totals.cached += pages_in(word.cached());
    }
  }
  return totals;
}

}  // namespace umemcg
