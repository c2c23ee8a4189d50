// What a successful malloc commits, and how.

#include <mimalloc.h>
#include <sys/mman.h>

#include "tests/mimalloc_contract/event_log.h"
#include "tests/mimalloc_contract/fact.h"
#include "tests/mimalloc_contract/os_calls.h"
#include "tests/mimalloc_contract/range.h"

namespace umemcg {
namespace {

constexpr size_t kStep = 16 * kKiB;  // of page_commit_on_demand

FACT(Commit, FirstStepIsSmall,
     "with page_commit_on_demand = 1 a fresh page commits its first block "
     "rounded up to 16 KiB (and at most 16 KiB more), starting at a 64 KiB "
     "slice",
     "alloc/: what a small group is charged for its first blocks") {
  const Range range = StartWithOneRange();
  const size_t sizes[] = {8, kSmall, 4096, kMedium, 70'000, kLarge, 400'000};
  for (const size_t size : sizes) {
    Mark();
    const void* const block = mi_malloc(size);
    REQUIRE(range.Contains(block), "block at %p", block);
    if (Count(RecentEvents(), EventKind::kCommit) == 0) {
      continue;  // in a page that is there already
    }
    REQUIRE(Count(RecentEvents(), EventKind::kCommit) == 1, "%zu commits",
            Count(RecentEvents(), EventKind::kCommit));
    const Event& commit = *First(RecentEvents(), EventKind::kCommit);
    const size_t usable = mi_usable_size(block);
    EXPECT(commit.start % kSliceSize == 0, "start %#zx", commit.start);
    EXPECT(commit.size % kStep == 0, "%zu KiB", commit.size / kKiB);
    EXPECT(commit.size <= (usable + kStep - 1) / kStep * kStep + kStep,
           "%zu KiB for a block of %zu", commit.size / kKiB, usable);
  }
}

FACT(Commit, WithoutOnDemandWholePages,
     "without page_commit_on_demand (its default) a 200 KB block commits 4 "
     "MiB",
     "only the reason for setting the option") {
  mi_option_set(mi_option_arena_reserve, 0);
  mi_option_set(mi_option_purge_delay, 0);
  mi_option_set(mi_option_page_commit_on_demand, 0);
  AddRange(256 * kMiB);
  EXPECT(mi_malloc(16) != nullptr, "NULL");
  Mark();
  EXPECT(mi_malloc(kLarge) != nullptr, "NULL");
  if (SumOfSizes(RecentEvents(), EventKind::kCommit) < 4 * kMiB) {
    Note("%zu KiB are enough without page_commit_on_demand",
         SumOfSizes(RecentEvents(), EventKind::kCommit) / kKiB);
  }
}

FACT(Commit, SingletonIsOneCommit,
     "a block of more than 512 KiB up to 220 MiB is one commit of the block "
     "and at most 4 MiB + 64 KiB",
     "alloc/: the second try of a refused malloc takes its reservation in "
     "one call of the hook") {
  const Range range = StartWithOneRange();
  const size_t sizes[] = {600'000, kSingleton, 10 * kMiB, 100 * kMiB};
  for (const size_t size : sizes) {
    Mark();
    void* const block = mi_malloc(size);
    REQUIRE(range.Contains(block), "block at %p", block);
    EXPECT(RecentEvents().size() == 1, "%zu events", RecentEvents().size());
    const size_t committed = SumOfSizes(RecentEvents(), EventKind::kCommit);
    EXPECT(committed >= size &&
               committed <= size + size / 8 + 4 * kMiB + kSliceSize,
           "%zu KiB for %zu", committed / kKiB, size);
    mi_free(block);
  }
}

// Allocates until the page of this size class grows; the step's event, or null.
const Event* GrowPage(size_t size) {
  for (int i = 0; i < 1000; ++i) {
    Mark();
    if (mi_malloc(size) == nullptr) {
      return nullptr;
    }
    if (const Event* step = First(RecentEvents(), EventKind::kMprotect)) {
      return step;
    }
  }
  return nullptr;
}

FACT(Commit, LaterStepsAreMprotect,
     "the later steps of a page are mprotect(PROT_READ | PROT_WRITE) calls "
     "that bind to our mprotect, come from libmimalloc's text, start at a "
     "multiple of 16 KiB and are whole multiples of it",
     "shim/: the interposed mprotect is the other half of the commit hook") {
  const Range range = StartWithOneRange();
  const size_t sizes[] = {kSmall, kMedium, 70'000, kLarge};
  for (const size_t size : sizes) {
    const Event* const step = GrowPage(size);
    REQUIRE(step != nullptr, "no step for blocks of %zu", size);
    EXPECT(range.Contains(step->start), "start %#zx", step->start);
    EXPECT(step->value == (PROT_READ | PROT_WRITE), "prot %d", step->value);
    EXPECT(IsInMimalloc(step->from), "called from %#zx", step->from);
    EXPECT(step->start % kStep == 0 && step->size % kStep == 0,
           "start %#zx, %zu KiB", step->start, step->size / kKiB);
  }
}

FACT(Commit, MprotectOfTheProgramIsTellable,
     "the program's own mprotect of a heap block does not come from "
     "libmimalloc's text",
     "shim/: it passes through uncharged") {
  StartWithOneRange();
  void* const block = mi_malloc_aligned(kPageSize, kPageSize);
  Mark();
  EXPECT(mprotect(block, kPageSize, PROT_READ) == 0, "mprotect fails");
  const Event* const event = First(RecentEvents(), EventKind::kMprotect);
  REQUIRE(event != nullptr, "not recorded");
  EXPECT(!IsInMimalloc(event->from), "from libmimalloc's text");
}

FACT(Commit, RefusedStepFallsBackToAFreshPage,
     "when a later step is refused, mimalloc asks the hook for a fresh page "
     "at once, and after the callback it repeats the step",
     "alloc/: a refused mprotect counts as a refused commit, and the "
     "reservation may be taken by either") {
  StartWithOneRange();
  SetMimallocMprotect(&MprotectRefuse);
  Mark();
  for (int i = 0; i < 1000; ++i) {
    if (Count(RecentEvents(), EventKind::kMprotect) > 0) {
      break;
    }
    Mark();
    EXPECT(mi_malloc(kSmall) != nullptr, "NULL");
  }
  REQUIRE(RecentEvents().size() == 2, "%zu events", RecentEvents().size());
  EXPECT(RecentEvents()[0].kind == EventKind::kMprotect, "not the step first");
  EXPECT(RecentEvents()[1].kind == EventKind::kCommit, "then no fresh page");

  AcceptCommits(false);
  while (mi_malloc(kSmall) != nullptr) {
  }
  OnForcedCallback([] { SetMimallocMprotect(nullptr); });
  Mark();
  EXPECT(mi_malloc(kSmall) != nullptr, "the accepted step does not serve");
  const Event& last = RecentEvents().back();
  EXPECT(last.kind == EventKind::kMprotect && last.ok, "kind %d",
         static_cast<int>(last.kind));
}

FACT(Commit, IsZeroMayBeLeftAlone,
     "the hook need not write to is_zero: calloc of reused memory is zero "
     "all the same",
     "alloc/: the hook never promises zero pages (cached pages are not)") {
  StartWithOneRange();
  for (int i = 0; i < 3; ++i) {
    unsigned char* const block =
        static_cast<unsigned char*>(mi_calloc(1, kSingleton));
    REQUIRE(block != nullptr, "NULL");
    for (size_t at = 0; at < kSingleton; at += kPageSize) {
      EXPECT(block[at] == 0, "byte %zu of round %d is %d", at, i, block[at]);
      block[at] = 1;
    }
    mi_free(block);
  }
}

}  // namespace
}  // namespace umemcg
