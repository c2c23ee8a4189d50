// fork while other threads allocate.
//
// Not asserted, because it is a matter of chance: a thread's first malloc and
// its exit, mi_heap_new, a first mi_heap_theap and mi_theap_delete hold locks
// which stay locked in a child. With threads starting and ending all the time,
// 8 of 2,500 children that started a thread hung, and 9 of 1,480 that made a
// heap; of those that only called malloc, free and collect none.

#include <mimalloc.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>

#include "tests/mimalloc_contract/child.h"
#include "tests/mimalloc_contract/event_log.h"
#include "tests/mimalloc_contract/fact.h"
#include "tests/mimalloc_contract/range.h"

namespace umemcg {
namespace {

constexpr int kForks = 300;
constexpr int kThreads = 2;
constexpr unsigned kChildSeconds = 50;

std::atomic<bool> stop{false};
std::atomic<int> warm_threads{0};

void AllocateALittle(unsigned seed) {
  std::array<void*, 64> blocks = {};
  for (unsigned i = 0; i < 1000; ++i) {
    seed = seed * 1664525 + 1013904223;
    void*& slot = blocks[(seed >> 8) % blocks.size()];
    mi_free(slot);
    const unsigned kind = (seed >> 20) % 16;
    slot = mi_malloc(kind == 0   ? kSingleton
                     : kind == 1 ? kLarge
                     : kind < 4  ? kMedium
                                 : 16 + (seed >> 24) * 8);
  }
  for (void* const block : blocks) {
    mi_free(block);
  }
}

void* Load(void*) {
  AllocateALittle(0);
  warm_threads.fetch_add(1);
  for (unsigned seed = 1; !stop; ++seed) {
    AllocateALittle(seed);
  }
  return nullptr;
}

FACT(Fork, ChildrenCanAllocate,
     "a child forked while two threads allocate and free can malloc, free, "
     "collect and start a thread: 300 forks, none hangs or crashes",
     "shim/: plain malloc needs no lock of ours around fork") {
  StartWithOneRange();
  pthread_t threads[kThreads];
  for (pthread_t& thread : threads) {
    pthread_create(&thread, nullptr, &Load, nullptr);
  }
  while (warm_threads < kThreads) {
    SleepMilliseconds(1);
  }
  for (int i = 0; i < kForks && FailureCount() == 0; ++i) {
    const int status = RunForked([] {
      alarm(kChildSeconds);
      AllocateALittle(7);
      mi_collect(true);
      pthread_t thread;
      pthread_create(
          &thread, nullptr, [](void*) -> void* { return mi_malloc(100); },
          nullptr);
      void* block = nullptr;
      pthread_join(thread, &block);
      EXPECT(block != nullptr, "NULL in a thread of the child");
      mi_free(block);
    });
    EXPECT(status == 0, "child %d of %d: wait status %#x (signal %d)", i,
           kForks, static_cast<unsigned>(status), SignalOf(status));
    ClearEvents();
  }
  stop = true;
  for (const pthread_t thread : threads) {
    pthread_join(thread, nullptr);
  }
}

FACT(Fork, ChildKeepsHeapAndHook,
     "in a child the heaps, the default theap and the hook are those of the "
     "parent",
     "shim/: the child goes on in the parent's group until its first charge") {
  StartWithOneRange();
  static mi_heap_t* heap = mi_heap_new();
  mi_theap_set_default(mi_heap_theap(heap));
  static void* block = mi_malloc(kSingleton);
  const int status = RunForked([] {
    Mark();
    EXPECT(mi_heap_of(mi_malloc(100)) == heap, "another heap");
    EXPECT(mi_heap_of(block) == heap, "the parent's block has another heap");
    mi_free(block);
    EXPECT(Count(RecentEvents(), EventKind::kDecommit) == 1, "%zu decommits",
           Count(RecentEvents(), EventKind::kDecommit));
  });
  EXPECT(status == 0, "wait status %#x", static_cast<unsigned>(status));
}

}  // namespace
}  // namespace umemcg
