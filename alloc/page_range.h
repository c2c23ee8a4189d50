// A range of pages, slice by slice, with its chunks' gates.
#pragma once

#include <cstddef>
#include <cstdint>

#include "alloc/page_table.h"

namespace umemcg {

inline constexpr uint32_t kWholeSlice = (1u << kSlicePages) - 1;

// A range of pages that this thread has for itself, slice by slice. While it
// is entered, no purge takes slices of it.
class PageRange {
 public:
  PageRange(uintptr_t start, uintptr_t end) : start_(start), end_(end) {}

  void enter() {
    for_each_gate([](ChunkGate& gate) { gate.enter(); });
  }
  void leave() {
    for_each_gate([](ChunkGate& gate) { gate.leave(); });
  }
  void enter_alone() {
    for_each_gate([](ChunkGate& gate) { gate.enter_alone(); });
  }
  void leave_alone() {
    for_each_gate([](ChunkGate& gate) { gate.leave_alone(); });
  }

  // Calls function(slice, number, mask) for each slice, mask saying which of
  // its pages are in the range. Whole slices, of which large blocks are made,
  // have a loop of their own.
  template <typename Function>
  void for_each_slice(Function function) const {
    SliceNumber n = slice_number(start_);
    const SliceNumber whole_end = slice_number(end_);
    if (start_ != slice_address(n)) part(n++, function);
    while (n < whole_end) {
      SliceNumber stop = (n | (kChunkSlices - 1)) + 1;
      if (stop > whole_end) stop = whole_end;
      Slice* slice = find_slice(n);  // rows are contiguous within a chunk
      if (slice == nullptr) {
        n = stop;
        continue;
      }
      for (; n != stop; ++n, ++slice) function(*slice, n, kWholeSlice);
    }
    if (n == whole_end && end_ != slice_address(n)) part(n, function);
  }

  uintptr_t start() const { return start_; }
  uintptr_t end() const { return end_; }
  size_t size() const { return end_ - start_; }

 private:
  template <typename Function>
  void for_each_gate(Function function) const {
    const SliceNumber last = slice_number(end_ - 1);
    for (SliceNumber n = slice_number(start_) & ~(kChunkSlices - 1); n <= last;
         n += kChunkSlices) {
      if (find_slice(n) != nullptr) function(chunk_gate(n));
    }
  }

  template <typename Function>
  void part(SliceNumber n, Function function) const {
    Slice* slice = find_slice(n);
    if (slice == nullptr) return;
    function(*slice, n, page_mask(slice_address(n), start_, end_));
  }

  uintptr_t start_;
  uintptr_t end_;
};

}  // namespace umemcg
