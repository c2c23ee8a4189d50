// The deferred-free callback: what may be done in it, and when else it runs.

#include <mimalloc.h>
#include <pthread.h>

#include <algorithm>
#include <atomic>

#include "tests/mimalloc_contract/child.h"
#include "tests/mimalloc_contract/event_log.h"
#include "tests/mimalloc_contract/fact.h"
#include "tests/mimalloc_contract/os_calls.h"
#include "tests/mimalloc_contract/range.h"

namespace umemcg {
namespace {

size_t ForcedCallbacks() {
  const auto events = RecentEvents();
  return static_cast<size_t>(
      std::count_if(events.begin(), events.end(), [](const Event& event) {
        return event.kind == EventKind::kCallback && event.ok;
      }));
}

void RunThread(void* (*function)(void*)) {
  pthread_t thread;
  pthread_create(&thread, nullptr, function, nullptr);
  pthread_join(thread, nullptr);
}

void* callback_blocks[64];

FACT(Callback, MayFree,
     "blocks may be freed in the callback, their decommits arrive there, and "
     "the second try can use what they gave back",
     "reclaim/: shrinkers free memory in the callback") {
  const Range range = StartWithOneRange();
  for (void*& block : callback_blocks) {
    block = mi_malloc(kSingleton);
    REQUIRE(range.Contains(block), "block at %p", block);
  }
  RefuseAll();
  OnForcedCallback([] {
    for (void* const block : callback_blocks) {
      mi_free(block);
    }
    AcceptCommits(true);
  });
  Mark();
  const void* const block = mi_malloc(kSingleton);
  EXPECT(range.Contains(block), "block at %p", block);
  EXPECT(Count(RecentEvents(), EventKind::kDecommit) >= 64, "%zu decommits",
         Count(RecentEvents(), EventKind::kDecommit));
}

FACT(Callback, MayCollect,
     "mi_theap_collect and mi_collect may be called in the callback; they do "
     "not run it again",
     "reclaim/: collecting the thread's heaps is part of try_charge's slow "
     "half") {
  StartWithOneRange();
  RefuseAll();
  OnForcedCallback([] {
    mi_theap_collect(mi_theap_get_default(), true);
    mi_collect(true);
  });
  Mark();
  EXPECT(mi_malloc(kSingleton) == nullptr, "a block");
  EXPECT(ForcedCallbacks() == 1, "%zu callbacks", ForcedCallbacks());
}

FACT(Callback, MayAllocate,
     "malloc works in the callback when it is not refused; when it is, it "
     "returns NULL without running the callback again",
     "reclaim/: a notification handler that allocates cannot recurse") {
  StartWithOneRange();
  RefuseAll();
  OnForcedCallback([] {
    callback_blocks[0] = mi_malloc(kMedium);
    AcceptCommits(true);
    callback_blocks[1] = mi_malloc(kMedium);
    AcceptCommits(false);
  });
  Mark();
  EXPECT(mi_malloc(kSingleton) == nullptr, "a block");
  EXPECT(callback_blocks[0] == nullptr, "a refused malloc gives a block");
  EXPECT(callback_blocks[1] != nullptr, "an accepted malloc gives NULL");
  EXPECT(ForcedCallbacks() == 1, "%zu callbacks", ForcedCallbacks());
}

FACT(Callback, MaySleep,
     "a sleep in the callback of one thread does not keep other threads from "
     "allocating",
     "stock/: a charge may wait for reclaim in the callback") {
  StartWithOneRange();
  static std::atomic<bool> asleep{false};
  static std::atomic<bool> done{false};
  OnForcedCallback([] {
    AcceptAll();
    asleep = true;
    for (int i = 0; i < 5000 && !done; ++i) {
      SleepMilliseconds(1);
    }
    EXPECT(done, "the other thread waits until the callback returns");
  });
  pthread_t thread;
  pthread_create(
      &thread, nullptr,
      [](void*) -> void* {
        while (!asleep) {
          SleepMilliseconds(1);
        }
        for (int i = 0; i < 10; ++i) {
          EXPECT(mi_malloc(kSingleton) != nullptr, "NULL");
          EXPECT(mi_malloc(kSmall) != nullptr, "NULL");
        }
        done = true;
        return nullptr;
      },
      nullptr);
  RefuseAll();
  EXPECT(mi_malloc(kSingleton) != nullptr, "NULL");
  pthread_join(thread, nullptr);
}

FACT(Callback, ForcedCollectRunsItToo,
     "any forced mi_collect or mi_theap_collect runs the callback with force "
     "= true, without a failing malloc",
     "alloc/: the callback acts on an armed record only") {
  StartWithOneRange();
  Mark();
  mi_collect(true);
  EXPECT(ForcedCallbacks() == 1, "%zu for mi_collect", ForcedCallbacks());
  Mark();
  mi_theap_collect(mi_theap_get_default(), true);
  EXPECT(ForcedCallbacks() == 1, "%zu for mi_theap_collect", ForcedCallbacks());
}

FACT(Callback, UnforcedNowAndThen,
     "the callback runs with force = false about every 1,000 slow mallocs",
     "alloc/: decay of cached pages may use it, and must not take it for a "
     "failure") {
  StartWithOneRange();
  Mark();
  for (int i = 0; i < 5000; ++i) {
    mi_free(mi_malloc(kSingleton));
  }
  const size_t all = Count(RecentEvents(), EventKind::kCallback);
  EXPECT(ForcedCallbacks() == 0, "%zu forced", ForcedCallbacks());
  EXPECT(all >= 1 && all <= 50, "%zu in 5,000 mallocs", all);
}

FACT(Callback, OnAThreadsFirstMalloc,
     "a thread's first malloc needs up to three pages (two of metadata, one "
     "of blocks), and the callback runs for each one that is refused; then "
     "it succeeds",
     "alloc/: the record is armed anew for each; metadata is charged to root "
     "and not refused") {
  StartWithOneRange();
  OnForcedCallback([] { AcceptNextCommits(1); });
  RunThread([](void*) -> void* {
    RefuseAll();
    Mark();
    EXPECT(mi_malloc(24) != nullptr, "NULL");
    EXPECT(ForcedCallbacks() >= 1 && ForcedCallbacks() <= 3, "%zu callbacks",
           ForcedCallbacks());
    Note("a thread's first malloc: %zu callbacks", ForcedCallbacks());
    return nullptr;
  });
}

FACT(Callback, ThreadsFirstMallocMayFail,
     "a thread whose metadata is refused gets NULL and can allocate later",
     "alloc/: a thread at the limit gets ENOMEM, not a crash") {
  StartWithOneRange();
  RunThread([](void*) -> void* {
    RefuseAll();
    EXPECT(mi_malloc(24) == nullptr, "a block");
    EXPECT(mi_malloc(kSingleton) == nullptr, "a block");
    mi_free(nullptr);
    AcceptAll();
    EXPECT(mi_malloc(24) != nullptr, "NULL");
    return nullptr;
  });
}

FACT(Callback, OnFirstUseOfAHeap,
     "the first malloc of a heap in a range runs the callback for each "
     "refused page (metadata of the heap, its theap, blocks) and then "
     "succeeds",
     "alloc/: heaps are primed under an override that never refuses") {
  StartWithOneRange();
  static mi_heap_t* heap = mi_heap_new();
  REQUIRE(heap != nullptr, "no heap");
  OnForcedCallback([] { AcceptNextCommits(1); });
  // Metadata comes from pages of the main heap: use up what these have left.
  RefuseAll();
  OnForcedCallback(nullptr);
  for (size_t size = 64; size < 64 * kKiB; size += size / 4) {
    for (int i = 0; i < 10'000 && mi_malloc(size) != nullptr; ++i) {
    }
  }
  OnForcedCallback([] { AcceptNextCommits(1); });
  Mark();
  EXPECT(mi_heap_malloc(heap, 24) != nullptr, "NULL");
  EXPECT(ForcedCallbacks() >= 1 && ForcedCallbacks() <= 6, "%zu callbacks",
         ForcedCallbacks());
  Note("first use of a heap: %zu callbacks", ForcedCallbacks());
}

}  // namespace
}  // namespace umemcg
