#include "alloc/purge_run.h"

#include <sys/mman.h>

#include "base/sys.h"

namespace umemcg {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

constinit std::atomic<bool> purge_protects{false};

int give_back(uintptr_t from, uintptr_t to) {
  void* start = reinterpret_cast<void*>(from);
  int error = sys::advise(start, to - from, MADV_DONTNEED);
  if (error == 0 && purge_protects.load(kRelaxed)) {
    sys::protect(start, to - from, PROT_NONE);
  }
  return error;
}

}  // namespace

void set_purge_protects(bool on) { purge_protects.store(on, kRelaxed); }

void PurgeRun::add(SliceNumber number) {
  bool adjoins = count_ > 0 && (number == low_ - 1 || number == high_ + 1);
  if (!adjoins || count_ == kMost) flush();
  if (count_ == 0) low_ = high_ = number;
  if (number < low_) low_ = number;
  if (number > high_) high_ = number;
  ++count_;
}

void PurgeRun::flush() {
  if (count_ == 0) return;
  uint32_t end = high_ + 1;
  for (SliceNumber at = low_; at != end;) at = purge_from(at, end);
  count_ = 0;
}

// Purges the longest run of wholly cached slices from `at` on, or the cached
// pages of a single slice; where to go on.
SliceNumber PurgeRun::purge_from(SliceNumber at, SliceNumber end) {
  SliceNumber last = at;
  constexpr uint32_t kAll = 0xffff;
  while (last != end && find_slice(last)->load().cached() == kAll) ++last;
  if (last != at) {
    int error = give_back(slice_address(at), slice_address(last));
    for (SliceNumber n = at; n != last; ++n) finish(n, kAll, error);
    return last;
  }
  purge_parts(at);
  return at + 1;
}

void PurgeRun::purge_parts(SliceNumber number) {
  uint32_t cached = find_slice(number)->load().cached();
  uint32_t done = 0;
  int error = 0;
  for (unsigned page = 0; page < kSlicePages && error == 0;) {
    if ((cached >> page & 1) == 0) {
      ++page;
      continue;
    }
    unsigned last = page;
    while (last < kSlicePages && (cached >> last & 1) != 0) ++last;
    uintptr_t base = slice_address(number);
    error = give_back(base + page * kPageSize, base + last * kPageSize);
    if (error == 0) done |= ((1u << last) - 1) & ~((1u << page) - 1);
    page = last;
  }
  finish(number, done, done == cached ? 0 : error);
}

// The slice is ours while it says `purging`, so a plain store does. What
// the system would not take back is cached again.
void PurgeRun::finish(SliceNumber number, uint32_t mask, int error) {
  Slice& slice = *find_slice(number);
  SliceWord word = slice.load();
  if (error != 0) mask = 0;
  SliceWord next =
      word.with_cached(word.cached() & ~mask)
          .with_purging(false)
          .with_refault(mask != 0 && reason_ == PurgeReason::kReclaim);
  if (next.cached() == 0 && next.used() == 0) next = next.with_owner(0);
  const bool again = next.cached() != 0 && !next.queued();
  if (again) {
    refused_.add(number, slice, static_cast<uint32_t>(sys::coarse_ms()));
    next = next.with_queued(true);
  }
  slice.store(next);
  purged_ += pages_in(mask);
}

}  // namespace umemcg
