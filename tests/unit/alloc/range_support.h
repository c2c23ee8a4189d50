// Memory as mimalloc has it, without mimalloc: a piece of address space with
// rows in the page table, committed and decommitted page by page; and system
// calls that fail on demand.
#pragma once

#include <climits>
#include <cstddef>
#include <cstdint>

#include "alloc/page_table.h"
#include "base/sys.h"

namespace umemcg {

class TestRange {
 public:
  // Fresh address space of that many slices, no other test's. It begins with
  // a chunk.
  explicit TestRange(size_t slices);
  // Its pages are uncharged, as far as they are in use.
  ~TestRange();
  TestRange(const TestRange&) = delete;
  TestRange& operator=(const TestRange&) = delete;

  size_t pages() const { return pages_; }
  uintptr_t address(size_t page) const { return start_ + page * kPageSize; }
  char* data(size_t page) const {
    return reinterpret_cast<char*>(address(page));
  }

  // As the commit hook calls them, for `count` pages from `page` on.
  bool commit(size_t page, size_t count, bool* is_zero = nullptr) const;
  void decommit(size_t page, size_t count) const;
  void release(size_t page, size_t count) const;

  // The row of the n-th slice.
  Slice& slice(size_t n) const;
  SliceWord word(size_t n) const { return slice(n).load(); }
  // Lets the n-th slice's pages have been cached so long ago.
  void age(size_t n, uint32_t ms) const;

 private:
  uintptr_t start_;
  size_t pages_;
};

// In its scope, memory calls of one kind fail with `error`, from the `first`-th
// on, `times` times. One at a time.
class FailCalls {
 public:
  enum Call { kMap, kUnmap, kProtect, kAdvise };

  FailCalls(Call call, int error, int first = 1, int times = INT_MAX);
  ~FailCalls();
  FailCalls(const FailCalls&) = delete;
  FailCalls& operator=(const FailCalls&) = delete;

  // Calls of that kind, failed or not.
  int seen() const;
};

// In its scope, memory calls of that kind are counted.
class CountCalls : public FailCalls {
 public:
  explicit CountCalls(Call call) : FailCalls(call, 0, INT_MAX, 0) {}
};

}  // namespace umemcg
