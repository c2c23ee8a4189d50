// Ranges: registration, what their metadata costs and when it is committed.

#include <mimalloc.h>
#include <sys/mman.h>

#include "tests/mimalloc_contract/event_log.h"
#include "tests/mimalloc_contract/fact.h"
#include "tests/mimalloc_contract/os_calls.h"
#include "tests/mimalloc_contract/range.h"

namespace umemcg {
namespace {

constexpr size_t kPageTable = 512 * kKiB;  // one for every 256 MiB of a range

FACT(Range, RegistrationCommitsOnce,
     "mi_manage_memory calls the hook once: commit, from the start of the "
     "range, whole pages, is_zero NULL",
     "alloc/: metadata of a range goes to root (stat percpu) and is never "
     "refused") {
  SetOptions();
  Mark();
  const Range range = AddRange(256 * kMiB);
  REQUIRE(range.registered, "not registered");
  EXPECT(Count(RecentEvents(), EventKind::kCommit) == 1, "%zu commits",
         Count(RecentEvents(), EventKind::kCommit));
  const Event* const commit = First(RecentEvents(), EventKind::kCommit);
  REQUIRE(commit != nullptr, "no commit");
  EXPECT(commit->start == range.start, "it starts %#zx too high",
         commit->start - range.start);
  EXPECT(commit->size % kPageSize == 0, "%zu bytes", commit->size);
  EXPECT(commit->value == 0, "is_zero is given");
}

FACT(Range, RefusedRegistrationIsAnError,
     "mi_manage_memory returns false when the hook refuses its metadata",
     "alloc/: a range that could not be charged is not a range") {
  SetOptions();
  AcceptCommits(false);
  EXPECT(!AddRange(256 * kMiB).registered, "registered");
}

FACT(Range, MetadataIsSmall,
     "registering commits at most 640 KiB for 256 MiB, 768 KiB for 1 GiB, 2 "
     "MiB for 8 GiB (measured: 576, 704, 1,600 KiB)",
     "alloc/: the growth of ranges from 256 MiB, and the start-up cost of a "
     "process") {
  SetOptions();
  constexpr struct {
    size_t range;
    size_t bound;
  } kSizes[] = {
      {256 * kMiB, 640 * kKiB}, {1 * kGiB, 768 * kKiB}, {8 * kGiB, 2 * kMiB}};
  for (const auto& size : kSizes) {
    Mark();
    REQUIRE(AddRange(size.range).registered, "%zu MiB", size.range / kMiB);
    const size_t committed = SumOfSizes(RecentEvents(), EventKind::kCommit);
    EXPECT(committed <= size.bound, "%zu KiB for %zu MiB", committed / kKiB,
           size.range / kMiB);
  }
}

FACT(Range, PageTablePer256MiB,
     "the first page in every 256 MiB of a range commits that part's page "
     "table: its first 512 KiB, is_zero NULL, beside the page itself; in the "
     "first part those pages are committed already",
     "alloc/: metadata is committed in the middle of a malloc, for ever; it "
     "goes to root and is not the group's; a commit may name committed pages") {
  SetOptions();
  const Range range = AddRange(1 * kGiB);
  size_t tables = 0;
  for (size_t blocks = 0; blocks < 4; ++blocks) {
    Mark();
    const void* const block = mi_malloc(200 * kMiB);
    REQUIRE(range.Contains(block), "block at %p", block);
    for (const Event& event : RecentEvents()) {
      if (event.kind == EventKind::kCommit && event.value == 0) {
        ++tables;
        EXPECT((event.start - range.start) % kRangeAlignment == 0,
               "the table is at %#zx", event.start - range.start);
        EXPECT(event.size == kPageTable, "%zu KiB", event.size / kKiB);
      }
    }
  }
  EXPECT(tables == 4, "%zu tables in 1 GiB", tables);
}

FACT(Range, NullIsZeroMeansMetadata,
     "a commit of blocks always gives is_zero, one of metadata of a range "
     "never does",
     "alloc/: it is how the hook tells metadata, which goes to root "
     "unrefused, from memory of the group") {
  const Range range = StartWithOneRange();
  const size_t sizes[] = {8, kSmall, kMedium, kLarge, kSingleton, 100 * kMiB};
  for (const size_t size : sizes) {
    Mark();
    const void* const block = mi_malloc(size);
    REQUIRE(range.Contains(block), "block at %p", block);
    for (const Event& event : RecentEvents()) {
      EXPECT(event.kind != EventKind::kCommit || event.value != 0,
             "is_zero is NULL for a block of %zu", size);
    }
  }
}

FACT(Range, RefusedPageTableLeavesTheRange,
     "when the page table's commit is refused, mimalloc gives the page back "
     "unused and asks mmap instead, for small blocks too",
     "alloc/: never refuse a commit without is_zero") {
  SetOptions();
  const Range range = AddRange(256 * kMiB);
  SetMimallocMmap(&MmapRefuseBlocks);
  AcceptCommits(false);
  Mark();
  EXPECT(mi_malloc(kSmall) == nullptr, "a block without its page table");
  EXPECT(Count(RecentEvents(), EventKind::kMmap) > 0, "no mmap");
  AcceptCommits(true);
  EXPECT(range.Contains(mi_malloc(kSmall)), "the range is not used later");
}

FACT(Range, AlignmentIs256MiB,
     "mi_arena_min_alignment() is 256 MiB; a range that starts elsewhere is "
     "taken, but what lies before the next multiple is never used",
     "alloc/: ranges are reserved at multiples of 256 MiB") {
  SetOptions();
  EXPECT(mi_arena_min_alignment() == kRangeAlignment, "%zu KiB",
         mi_arena_min_alignment() / kKiB);
  const size_t size = 512 * kMiB;
  char* const memory = static_cast<char*>(
      ReserveAligned(size, kRangeAlignment, PROT_READ | PROT_WRITE));
  Mark();
  const Range range = AddRangeAt(memory + 64 * kKiB, size - 64 * kKiB);
  REQUIRE(range.registered, "refused");
  const Event* const commit = First(RecentEvents(), EventKind::kCommit);
  REQUIRE(commit != nullptr, "no commit");
  EXPECT(commit->start % kRangeAlignment == 0, "it begins at %#zx",
         commit->start);
}

FACT(Range, SmallestIs32MiB,
     "ranges are counted in 32 MiB; a smaller one is refused",
     "alloc/: the size of a range is a multiple of 32 MiB") {
  SetOptions();
  EXPECT(mi_arena_min_size() <= 32 * kMiB, "%zu KiB",
         mi_arena_min_size() / kKiB);
  EXPECT(AddRange(32 * kMiB).registered, "32 MiB refused");
  EXPECT(!AddRange(16 * kMiB).registered, "16 MiB taken");
}

FACT(Range, AtMost160,
     "mimalloc takes at least 128 ranges (measured: 160) and says false for "
     "the next one",
     "alloc/: groups share ranges, ranges grow geometrically") {
  SetOptions();
  size_t count = 0;
  while (count < 1000 && AddRange(32 * kMiB).registered) {
    ++count;
  }
  EXPECT(count >= 128, "%zu", count);
  if (count != 160) {
    Note("mimalloc takes %zu ranges", count);
  }
}

FACT(Range, LargestBlockIs220MiB,
     "a block of 220 MiB fits in an empty range of 256 MiB, one of 221 MiB "
     "in no range of whatever size",
     "alloc/ and shim/: larger blocks come through mmap and are charged "
     "there") {
  SetOptions();
  SetMimallocMmap(&MmapAligned256MiB);
  SetMimallocMprotect(&MprotectNothing);
  const Range small = AddRange(256 * kMiB);
  void* const fits = mi_malloc(220 * kMiB);
  EXPECT(small.Contains(fits), "block at %p", fits);
  mi_free(fits);
  const Range large = AddRange(4 * kGiB);
  const void* const block = mi_malloc(221 * kMiB);
  EXPECT(block != nullptr, "NULL");
  if (large.Contains(block)) {
    Note("a range of 4 GiB can hold a block of 221 MiB now");
  }
}

FACT(Range, BlocksDoNotCross256MiB,
     "no block crosses a multiple of 256 MiB, and one of more than 32 MiB "
     "begins at a multiple of 32 MiB",
     "alloc/: how much untouched space is left counts per 256 MiB, in pieces "
     "of 32 MiB") {
  SetOptions();
  const Range range = AddRange(1 * kGiB);
  const size_t sizes[] = {20 * kMiB, 40 * kMiB, 100 * kMiB, 60 * kMiB};
  for (int i = 0; i < 8; ++i) {
    const size_t size = sizes[i % 4];
    Mark();
    const void* const block = mi_malloc(size);
    const Event* const commit = Last(RecentEvents(), EventKind::kCommit);
    if (!range.Contains(block) || commit == nullptr) {
      continue;
    }
    const uintptr_t first = reinterpret_cast<uintptr_t>(block);
    EXPECT(first / kRangeAlignment == (first + size - 1) / kRangeAlignment,
           "%zu MiB at %p", size / kMiB, block);
    const bool aligned = (first - range.start) % (32 * kMiB) < kSliceSize;
    EXPECT(size <= 32 * kMiB || aligned, "%zu MiB at %#zx", size / kMiB,
           first - range.start);
  }
}

FACT(Range, AddedInsideTheCallback,
     "a range may be added inside the callback of a malloc that found the "
     "ranges full; its second try uses it",
     "alloc/: this is how the heap grows") {
  SetOptions();
  static Range second;
  RecordCallbacks();
  SetMimallocMmap(&MmapRefuseBlocks);
  const Range first = AddRange(256 * kMiB);
  EXPECT(first.Contains(mi_malloc(200 * kMiB)), "the range does not fill");
  OnForcedCallback([] { second = AddRange(256 * kMiB); });
  const void* const block = mi_malloc(200 * kMiB);
  EXPECT(second.registered, "the callback could not add a range");
  EXPECT(second.Contains(block), "block at %p", block);
}

}  // namespace
}  // namespace umemcg
