#include "tests/unit/alloc/range_support.h"

#include <gtest/gtest.h>

#include <atomic>

#include "accounting/account.h"
#include "alloc/cached.h"
#include "alloc/commit.h"

namespace umemcg {
namespace {

// All ranges are cut from here and never used twice, so that a slice's row is
// fresh.
constexpr size_t kSpace = 64 * kGiB;
constexpr size_t kChunkSize = kChunkSlices * kSliceSize;

uintptr_t take_space(size_t size) {
  static std::atomic<uintptr_t> next{0};
  if (next.load() == 0) {
    int error = 0;
    void* base = sys::kRealMemory.map(
        nullptr, kSpace, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0, &error);
    EXPECT_EQ(0, error);
    sys::kRealMemory.advise(base, kSpace, MADV_NOHUGEPAGE);
    next.store(round_up(reinterpret_cast<uintptr_t>(base), kChunkSize));
  }
  return next.fetch_add(round_up(size, kChunkSize));
}

struct Failure {
  FailCalls::Call call;
  int error;
  int first;
  int times;
  std::atomic<int> seen;
};
Failure failure;

// The error that this call is to fail with, or 0.
int error_for(FailCalls::Call call) {
  if (call != failure.call) return 0;
  int number = failure.seen.fetch_add(1) + 1;
  bool fails =
      number >= failure.first && number - failure.first < failure.times;
  return fails ? failure.error : 0;
}

void* failing_map(void* hint, size_t size, int protection, int flags, int fd,
                  off_t offset, int* error) {
  *error = error_for(FailCalls::kMap);
  if (*error != 0) return nullptr;
  return sys::kRealMemory.map(hint, size, protection, flags, fd, offset, error);
}
int failing_unmap(void* address, size_t size) {
  int error = error_for(FailCalls::kUnmap);
  return error != 0 ? error : sys::kRealMemory.unmap(address, size);
}
int failing_protect(void* address, size_t size, int protection) {
  int error = error_for(FailCalls::kProtect);
  return error != 0 ? error
                    : sys::kRealMemory.protect(address, size, protection);
}
int failing_advise(void* address, size_t size, int advice) {
  int error = error_for(FailCalls::kAdvise);
  return error != 0 ? error : sys::kRealMemory.advise(address, size, advice);
}

}  // namespace

TestRange::TestRange(size_t slices)
    : start_(take_space(slices * kSliceSize)), pages_(slices * kSlicePages) {
  EXPECT_TRUE(map_page_table(start_, slices * kSliceSize));
}

TestRange::~TestRange() {
  decommit(0, pages_);
  for (uint32_t id = 1; id <= account_count(); ++id) {
    purge_cached(*account_at(id), INT64_MAX, PurgeReason::kTrim);
  }
}

bool TestRange::commit(size_t page, size_t count, bool* is_zero) const {
  return commit_pages(address(page), count * kPageSize, is_zero);
}
void TestRange::decommit(size_t page, size_t count) const {
  decommit_pages(address(page), count * kPageSize);
}
void TestRange::release(size_t page, size_t count) const {
  release_pages(address(page), count * kPageSize);
}

Slice& TestRange::slice(size_t n) const {
  Slice* row = find_slice(slice_number(start_) + static_cast<SliceNumber>(n));
  EXPECT_NE(nullptr, row);
  return *row;
}

void TestRange::age(size_t n, uint32_t ms) const {
  slice(n).cached_ms.fetch_sub(ms);
}

FailCalls::FailCalls(Call call, int error, int first, int times) {
  failure.call = call;
  failure.error = error;
  failure.first = first;
  failure.times = times;
  failure.seen.store(0);
  sys::memory = {failing_map, failing_unmap, failing_protect, failing_advise};
}
FailCalls::~FailCalls() { sys::memory = sys::kRealMemory; }
int FailCalls::seen() const { return failure.seen.load(); }

}  // namespace umemcg
