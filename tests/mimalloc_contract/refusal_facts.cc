// A malloc that fails: what it asks, in which order, and what it returns.

#include <mimalloc.h>

#include <algorithm>
#include <iterator>

#include "tests/mimalloc_contract/event_log.h"
#include "tests/mimalloc_contract/fact.h"
#include "tests/mimalloc_contract/os_calls.h"
#include "tests/mimalloc_contract/range.h"

namespace umemcg {
namespace {

mi_heap_t* second_heap = nullptr;
void* old_block = nullptr;

// Every way in which a program asks for memory.
constexpr struct Path {
  const char* name;
  void* (*allocate)();
} kPaths[] = {
    {"malloc small", [] { return mi_malloc(24); }},
    {"malloc 1 KB", [] { return mi_malloc(kSmall); }},
    {"malloc medium", [] { return mi_malloc(kMedium); }},
    {"malloc large", [] { return mi_malloc(kLarge); }},
    {"malloc singleton", [] { return mi_malloc(kSingleton); }},
    {"malloc mapped", [] { return mi_malloc(kMapped); }},
    {"malloc_small", [] { return mi_malloc_small(56); }},
    {"calloc small", [] { return mi_calloc(3, 24); }},
    {"calloc singleton", [] { return mi_calloc(3, kSingleton); }},
    {"realloc of NULL", [] { return mi_realloc(nullptr, kSmall); }},
    {"realloc that grows", [] { return mi_realloc(old_block, kSingleton); }},
    {"reallocarray", [] { return mi_reallocarray(nullptr, 3, kMedium); }},
    {"aligned to 64", [] { return mi_malloc_aligned(200, 64); }},
    {"aligned to 4 KiB", [] { return mi_malloc_aligned(200, 4096); }},
    {"aligned to 64 KiB", [] { return mi_malloc_aligned(200, 65536); }},
    {"aligned to 128 KiB", [] { return mi_malloc_aligned(200, 131072); }},
    {"aligned to 1 MiB", [] { return mi_malloc_aligned(kSingleton, kMiB); }},
    {"zalloc_aligned", [] { return mi_zalloc_aligned(200, 4096); }},
    {"memalign", [] { return mi_memalign(4096, 8192); }},
    {"aligned_alloc", [] { return mi_aligned_alloc(4096, 8192); }},
    {"valloc", [] { return mi_valloc(100); }},
    {"pvalloc", [] { return mi_pvalloc(100); }},
    {"posix_memalign",
     []() -> void* {
       void* block = nullptr;
       return mi_posix_memalign(&block, 4096, 100) == 0 ? block : nullptr;
     }},
    {"nothrow new", [] { return mi_new_nothrow(1200); }},
    {"nothrow new aligned", [] { return mi_new_aligned_nothrow(1200, 4096); }},
    {"heap malloc", [] { return mi_heap_malloc(second_heap, 300); }},
    {"heap calloc", [] { return mi_heap_calloc(second_heap, 3, kMedium); }},
    {"theap malloc",
     [] { return mi_theap_malloc(mi_heap_theap(second_heap), kLarge); }},
    {"strdup", []() -> void* { return mi_strdup("a few bytes more"); }},
};

void Start() {
  StartWithOneRange();
  second_heap = mi_heap_new();
  mi_free(mi_heap_malloc(second_heap, 16));
  old_block = mi_malloc(kSmall);
  mi_collect(true);
  RefuseAll();
  // Uses up the blocks of pages that are committed already.
  for (const Path& path : kPaths) {
    for (int i = 0; i < 3000 && path.allocate() != nullptr; ++i) {
    }
  }
}

bool IsForced(const Event& event) {
  return event.kind == EventKind::kCallback && event.ok;
}

FACT(Refusal, MeansNull,
     "when the hook and our mmap refuse, every allocating call returns NULL",
     "alloc/: a refusal is the only way in which a limit holds") {
  Start();
  for (const Path& path : kPaths) {
    const void* const block = path.allocate();
    EXPECT(block == nullptr, "%s gives %p", path.name, block);
  }
}

FACT(Refusal, CallsBackOnce,
     "every failing call runs the deferred-free callback with force = true "
     "at least once (measured: exactly once)",
     "stock/ and reclaim/: the callback is where a charge may wait, reclaim "
     "and count its failure") {
  Start();
  for (const Path& path : kPaths) {
    Mark();
    EXPECT(path.allocate() == nullptr, "%s succeeds", path.name);
    const long forced =
        std::count_if(RecentEvents().begin(), RecentEvents().end(), &IsForced);
    EXPECT(forced >= 1, "%s: %ld forced callbacks", path.name, forced);
    if (forced > 1) {
      Note("%s: %ld forced callbacks", path.name, forced);
    }
  }
}

FACT(Refusal, SecondTryFollowsTheCallback,
     "what the callback makes possible, the same call gets: memory is asked "
     "for again after it",
     "reclaim/: a reservation made in the callback reaches the call that "
     "needs it") {
  Start();
  OnForcedCallback(&AcceptAll);
  for (const Path& path : kPaths) {
    RefuseAll();
    const void* const block = path.allocate();
    EXPECT(block != nullptr, "%s gives NULL", path.name);
  }
}

FACT(Refusal, CallbackComesBetween,
     "hook and mmap are asked before the callback and after it, never after "
     "the error handler, which is last",
     "alloc/: the record is armed by the hook, consumed in the callback") {
  Start();
  for (const Path& path : kPaths) {
    Mark();
    EXPECT(path.allocate() == nullptr, "%s succeeds", path.name);
    const auto events = RecentEvents();
    const auto callback = std::find_if(events.begin(), events.end(), &IsForced);
    const auto asks = [](const Event& event) {
      return event.kind != EventKind::kCallback &&
             event.kind != EventKind::kDecommit &&
             event.kind != EventKind::kError;
    };
    EXPECT(std::any_of(events.begin(), callback, asks), "%s: not before",
           path.name);
    EXPECT(std::any_of(callback, events.end(), asks), "%s: not after",
           path.name);
    EXPECT(!events.empty() && events.back().kind == EventKind::kError,
           "%s: the error handler is not last", path.name);
  }
}

FACT(Refusal, HookIsAskedAFewTimes,
     "with one range a failing malloc asks hook and mprotect at most 12 "
     "times (measured: small 6 commits, others 4; as many mprotects when the "
     "page could grow)",
     "alloc/: while a record is armed the hook refuses at once, so these are "
     "cheap") {
  Start();
  for (const Path& path : kPaths) {
    Mark();
    EXPECT(path.allocate() == nullptr, "%s succeeds", path.name);
    const size_t asked = Count(RecentEvents(), EventKind::kCommit) +
                         Count(RecentEvents(), EventKind::kMprotect);
    EXPECT(asked <= 12, "%s: %zu", path.name, asked);
  }
}

FACT(Refusal, HookIsAskedPerRange,
     "with 160 ranges a failing malloc of 1 MB asks the hook at most 4 times "
     "a range (640), one of a page on demand no more often than with one "
     "range",
     "alloc/: a refusal under an armed record must cost nanoseconds") {
  StartWithOneRange();
  while (AddRange(32 * kMiB).registered) {
  }
  RefuseAll();
  Mark();
  EXPECT(mi_malloc(1'000'000) == nullptr, "a block");
  const size_t singleton = Count(RecentEvents(), EventKind::kCommit);
  EXPECT(singleton <= 640, "%zu", singleton);
  Note("1 MB, 160 ranges: %zu commits", singleton);
  Mark();
  EXPECT(mi_malloc(kMedium) == nullptr, "a block");
  EXPECT(Count(RecentEvents(), EventKind::kCommit) <= 12, "%zu",
         Count(RecentEvents(), EventKind::kCommit));
}

FACT(Refusal, SingletonsFallBackToMmap,
     "after a refusal a block of more than 512 KiB is asked of mmap, though "
     "a range could serve it; smaller ones are not",
     "shim/: an mmap from libmimalloc's text while a record is armed is "
     "refused too") {
  StartWithOneRange();
  AcceptCommits(false);
  SetMimallocMmap(&MmapRefuseBlocks);
  const size_t on_demand[] = {4096, kMedium, kLarge};
  for (const size_t size : on_demand) {
    Mark();
    EXPECT(mi_malloc(size) == nullptr, "a block of %zu", size);
    EXPECT(Count(RecentEvents(), EventKind::kMmap) == 0, "mmap for %zu", size);
  }
  Mark();
  EXPECT(mi_malloc(kSingleton) == nullptr, "a block");
  const Event* const map = First(RecentEvents(), EventKind::kMmap);
  if (map == nullptr) {
    Note("no fallback to mmap any more");
    return;
  }
  const Event* const commit = First(RecentEvents(), EventKind::kCommit);
  EXPECT(commit != nullptr && commit < map, "mmap is asked before the hook");
}

}  // namespace
}  // namespace umemcg
