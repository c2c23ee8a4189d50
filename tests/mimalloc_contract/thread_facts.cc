// Threads: what their first malloc and their exit do, and where their pages go.

#include <mimalloc.h>
#include <pthread.h>
#include <unistd.h>

#include <atomic>

#include "tests/mimalloc_contract/child.h"
#include "tests/mimalloc_contract/event_log.h"
#include "tests/mimalloc_contract/fact.h"
#include "tests/mimalloc_contract/os_calls.h"
#include "tests/mimalloc_contract/range.h"

namespace umemcg {
namespace {

void* blocks[8];
mi_heap_t* heap = nullptr;

pid_t RunThread(void (*function)()) {
  struct Work {
    void (*function)();
    pid_t tid;
  } work = {function, 0};
  pthread_t thread;
  pthread_create(
      &thread, nullptr,
      [](void* argument) -> void* {
        Work* const mine = static_cast<Work*>(argument);
        mine->tid = gettid();
        mine->function();
        return nullptr;
      },
      &work);
  pthread_join(thread, nullptr);
  return work.tid;
}

FACT(Thread, ExitReturnsEmptyPages,
     "at its exit a thread gives back its empty pages, by decommits on the "
     "exiting thread, and the callback does not run",
     "alloc/: decommits arrive after the program's C++ thread_local "
     "destructors, the stock of the thread must still be usable") {
  StartWithOneRange();
  Mark();
  const pid_t tid = RunThread([] {
    const size_t sizes[] = {kSmall, kMedium, kLarge};
    for (const size_t size : sizes) {
      mi_free(mi_malloc(size));
    }
  });
  EXPECT(Count(RecentEvents(), EventKind::kDecommit) >= 2, "%zu decommits",
         Count(RecentEvents(), EventKind::kDecommit));
  EXPECT(Count(RecentEvents(), EventKind::kCallback) == 0, "%zu callbacks",
         Count(RecentEvents(), EventKind::kCallback));
  for (const Event& event : RecentEvents()) {
    EXPECT(event.kind != EventKind::kDecommit || event.tid == tid,
           "a decommit on thread %d", event.tid);
  }
}

FACT(Thread, ExitLeavesLivePages,
     "pages with live blocks stay committed over the exit of their thread; "
     "they come back on the thread that frees the last block, at the latest "
     "in its next forced collect",
     "alloc/: the pages stay charged to their owner in the page table") {
  StartWithOneRange();
  Mark();
  RunThread([] {
    const size_t sizes[] = {kSmall, kMedium, kLarge, kSingleton, kMapped};
    for (size_t i = 0; i < std::size(sizes); ++i) {
      blocks[i] = mi_malloc(sizes[i]);
    }
  });
  EXPECT(Count(RecentEvents(), EventKind::kDecommit) == 0, "%zu decommits",
         Count(RecentEvents(), EventKind::kDecommit));
  Mark();
  for (void* const block : blocks) {
    mi_free(block);
  }
  mi_collect(true);
  EXPECT(Count(RecentEvents(), EventKind::kDecommit) >= 4, "%zu decommits",
         Count(RecentEvents(), EventKind::kDecommit));
  EXPECT(Count(RecentEvents(), EventKind::kMunmap) == 1, "%zu munmaps",
         Count(RecentEvents(), EventKind::kMunmap));
  for (const Event& event : RecentEvents()) {
    EXPECT(event.tid == gettid() || event.tid == 0, "thread %d", event.tid);
  }
}

FACT(Thread, AbandonedPagesStayInTheirHeap,
     "pages which an exited thread left in a heap are used again by that "
     "heap only",
     "alloc/: live pages never move to another group") {
  StartWithOneRange();
  heap = mi_heap_new();
  RunThread([] {
    mi_theap_set_default(mi_heap_theap(heap));
    for (void*& block : blocks) {
      block = mi_malloc(kSmall);
    }
  });
  for (int i = 0; i < 1000; ++i) {
    const void* const block = mi_malloc(kSmall);
    EXPECT(mi_heap_of(block) == mi_heap_main(), "main got a block of the heap");
  }
  for (void* const block : blocks) {
    EXPECT(mi_heap_of(block) == heap, "a block changed its heap");
    mi_free(block);
  }
}

FACT(Thread, FreeingDoesNotAdopt,
     "a thread that frees a block of an exited thread's heap does not take "
     "the page into another heap",
     "alloc/: as before, on the freeing side") {
  StartWithOneRange();
  heap = mi_heap_new();
  RunThread([] {
    for (void*& block : blocks) {
      block = mi_heap_malloc(heap, kSmall);
    }
  });
  mi_free(blocks[0]);
  for (int i = 0; i < 200; ++i) {
    EXPECT(mi_heap_of(mi_malloc(kSmall)) == mi_heap_main(), "another heap");
  }
  EXPECT(mi_heap_of(blocks[1]) == heap, "a block changed its heap");
}

FACT(Thread, MetadataIsUsedAgain,
     "1,000 threads one after the other commit one page each for their "
     "blocks; the metadata of the first serves the others",
     "alloc/: metadata of threads goes to root and does not grow") {
  StartWithOneRange();
  RunThread([] { mi_free(mi_malloc(24)); });
  constexpr size_t kThreads = 1000;
  Mark();
  for (size_t i = 0; i < kThreads; ++i) {
    RunThread([] { mi_free(mi_malloc(24)); });
  }
  const size_t commits = Count(RecentEvents(), EventKind::kCommit) +
                         Count(RecentEvents(), EventKind::kMprotect);
  EXPECT(commits <= kThreads + 10, "%zu", commits);
}

pthread_key_t late_key;
mi_theap_t* theap_in_destructor = nullptr;
mi_theap_t* theap_of_thread = nullptr;

FACT(Thread, DestructorRunsBeforeTheProgrammes,
     "mimalloc's thread destructor runs before those of keys which the "
     "program makes: there the default theap is no longer the group's, and "
     "malloc still works",
     "shim/: our key destructor falls back to the process's group and exact "
     "charges") {
  StartWithOneRange();
  heap = mi_heap_new();
  pthread_key_create(&late_key, [](void*) {
    theap_in_destructor = mi_theap_get_default();
    void* const block = mi_malloc(kSmall);
    EXPECT(block != nullptr, "NULL in the destructor");
    EXPECT(mi_heap_of(block) != heap, "still in the group's heap");
    mi_free(block);
  });
  RunThread([] {
    theap_of_thread = mi_heap_theap(heap);
    mi_theap_set_default(theap_of_thread);
    mi_free(mi_malloc(kSmall));
    pthread_setspecific(late_key, &late_key);
  });
  EXPECT(theap_in_destructor != nullptr, "the destructor did not run");
  EXPECT(theap_in_destructor != theap_of_thread, "the theap is still there");
}

FACT(Thread, ExitReturnsPagesOfAllHeaps,
     "at its exit a thread gives back the empty pages of all heaps it has "
     "used, not only those of the default one",
     "alloc/: a thread need not delete its cached theaps before it exits") {
  StartWithOneRange();
  heap = mi_heap_new();
  mi_free(mi_heap_malloc(heap, 16));  // primed
  mi_collect(true);
  Mark();
  RunThread([] { mi_free(mi_heap_malloc(heap, kLarge)); });
  const Event* const decommit = Last(RecentEvents(), EventKind::kDecommit);
  REQUIRE(decommit != nullptr, "no decommit");
  EXPECT(decommit->size == 4 * kMiB, "%zu KiB", decommit->size / kKiB);
}

std::atomic<bool> in_hook{false};
std::atomic<bool> other_done{false};
std::atomic<bool> other_was_blocked{false};

FACT(Thread, FirstUseOfAHeapHoldsItsLock,
     "on the first use of a heap in a range the hook runs under a lock of "
     "that heap: another thread's first use waits",
     "only the reason for priming a heap before others see it") {
  StartWithOneRange();
  heap = mi_heap_new();
  mi_theap_t* const theap = mi_heap_theap(heap);
  pthread_t thread;
  pthread_create(
      &thread, nullptr,
      [](void*) -> void* {
        mi_theap_t* const mine = mi_heap_theap(heap);
        while (!in_hook) {
          SleepMilliseconds(1);
        }
        EXPECT(mi_theap_malloc(mine, 16) != nullptr, "NULL");
        other_done = true;
        return nullptr;
      },
      nullptr);
  SleepMilliseconds(50);  // it makes its theap
  OnCommit([] {
    OnCommit(nullptr);
    in_hook = true;
    for (int i = 0; i < 300 && !other_done; ++i) {
      SleepMilliseconds(1);
    }
    other_was_blocked = !other_done;
  });
  EXPECT(mi_theap_malloc(theap, 16) != nullptr, "NULL");
  pthread_join(thread, nullptr);
  if (!other_was_blocked) {
    Note("the hook no longer runs under the heap's lock");
  }
}

}  // namespace
}  // namespace umemcg
