// Heaps and theaps: one heap per group, one theap per (thread, group).

#include <mimalloc.h>
#include <pthread.h>

#include "tests/mimalloc_contract/event_log.h"
#include "tests/mimalloc_contract/fact.h"
#include "tests/mimalloc_contract/os_calls.h"
#include "tests/mimalloc_contract/range.h"

namespace umemcg {
namespace {

// Commits and steps less decommits since the mark, as the page table counts
// them (a decommit covers pages that were never committed).
size_t CommittedSinceMark() {
  size_t committed = 0;
  for (const Event& event : RecentEvents()) {
    if (event.kind == EventKind::kCommit ||
        event.kind == EventKind::kMprotect) {
      committed += event.size;
    }
  }
  return committed;
}

FACT(Heap, SwitchingTheDefaultTheap,
     "after mi_theap_set_default(mi_heap_theap(heap)) the thread's malloc "
     "and aligned calls allocate in that heap, and mi_heap_of tells the heap "
     "of each block",
     "alloc/: switching a thread's group") {
  StartWithOneRange();
  mi_heap_t* const heap = mi_heap_new();
  REQUIRE(heap != nullptr, "no heap");
  mi_theap_t* const theap = mi_heap_theap(heap);
  mi_theap_t* const before = mi_theap_set_default(theap);
  EXPECT(mi_theap_get_default() == theap, "the default did not change");
  const size_t sizes[] = {16, kSmall, kMedium, kLarge, kSingleton, kMapped};
  for (const size_t size : sizes) {
    EXPECT(mi_heap_of(mi_malloc(size)) == heap, "malloc(%zu)", size);
  }
  EXPECT(mi_heap_of(mi_memalign(4096, 100)) == heap, "memalign");
  EXPECT(mi_heap_of(mi_calloc(3, 100)) == heap, "calloc");
  mi_theap_set_default(before);
  EXPECT(mi_heap_of(mi_malloc(100)) == mi_heap_main(), "the way back");
}

FACT(Heap, TheapIsTheSameEachTime,
     "mi_heap_theap gives one thread the same theap for a heap each time",
     "alloc/: a thread caches the theaps of its groups") {
  StartWithOneRange();
  mi_heap_t* const first = mi_heap_new();
  mi_heap_t* const second = mi_heap_new();
  mi_theap_t* const theap = mi_heap_theap(first);
  EXPECT(mi_heap_theap(second) != theap, "two heaps, one theap");
  EXPECT(mi_heap_theap(first) == theap, "another one the second time");
}

FACT(Heap, PagesAreNotShared,
     "two heaps never have blocks in one page: each block's first commit "
     "comes while its own heap allocates",
     "alloc/: a page has one owner") {
  StartWithOneRange();
  mi_heap_t* const first = mi_heap_new();
  mi_heap_t* const second = mi_heap_new();
  for (int i = 0; i < 200; ++i) {
    const uintptr_t a = reinterpret_cast<uintptr_t>(mi_heap_malloc(first, 100));
    const uintptr_t b =
        reinterpret_cast<uintptr_t>(mi_heap_malloc(second, 100));
    EXPECT(a / kSliceSize != b / kSliceSize, "%#zx and %#zx", a, b);
  }
}

FACT(Heap, FreeFromAnotherGroup,
     "a block is freed right while another heap is the thread's default, and "
     "realloc moves it to the default heap",
     "alloc/: free needs no lookup; a realloc that moves charges the current "
     "group") {
  StartWithOneRange();
  mi_heap_t* const heap = mi_heap_new();
  void* const block = mi_heap_malloc(heap, kSmall);
  void* const other = mi_heap_malloc(heap, kSingleton);
  mi_free(block);
  Mark();
  mi_free(other);
  EXPECT(Count(RecentEvents(), EventKind::kDecommit) == 1, "%zu decommits",
         Count(RecentEvents(), EventKind::kDecommit));
  void* const grown = mi_realloc(mi_heap_malloc(heap, kSmall), kSingleton);
  EXPECT(mi_heap_of(grown) == mi_heap_main(), "it stays in its heap");
}

FACT(Heap, MetadataIsSmall,
     "a new heap with its theap and first block commits at most 160 KiB on "
     "average in a process with one range of 256 MiB",
     "alloc/: metadata per used group, 1,000 groups in 80 MiB") {
  StartWithOneRange();
  Mark();
  constexpr size_t kHeaps = 50;
  for (size_t i = 0; i < kHeaps; ++i) {
    mi_heap_t* const heap = mi_heap_new();
    REQUIRE(heap != nullptr, "no heap");
    EXPECT(mi_theap_malloc(mi_heap_theap(heap), 16) != nullptr, "NULL");
  }
  const size_t each = CommittedSinceMark() / kHeaps;
  EXPECT(each <= 160 * kKiB, "%zu KiB", each / kKiB);
  Note("a heap with theap and first block: %zu KiB", each / kKiB);
}

FACT(Heap, NewIsNullAtTheLimit,
     "mi_heap_new returns NULL when its memory is refused, and works again "
     "later",
     "alloc/: heaps are made under an override that never refuses; NULL is "
     "checked all the same") {
  StartWithOneRange();
  RefuseAll();
  int made = 0;
  while (made < 10'000 && mi_heap_new() != nullptr) {
    ++made;
  }
  EXPECT(made < 10'000, "heaps without memory");
  AcceptAll();
  EXPECT(mi_heap_new() != nullptr, "NULL though all is accepted");
}

FACT(Heap, DummyTheapAtTheLimit,
     "at a limit mi_heap_theap may give a dummy theap: mi_theap_set_default "
     "ignores it, malloc from it is NULL, and the heap's real one comes "
     "later",
     "alloc/: mi_theap_get_default() is compared before a switch is recorded") {
  StartWithOneRange();
  constexpr int kHeaps = 100;
  mi_heap_t* heaps[kHeaps];
  for (mi_heap_t*& heap : heaps) {
    heap = mi_heap_new();
    REQUIRE(heap != nullptr, "no heap");
  }
  RefuseAll();
  mi_theap_t* const before = mi_theap_get_default();
  for (mi_heap_t* const heap : heaps) {
    mi_theap_t* const theap = mi_heap_theap(heap);
    mi_theap_set_default(theap);
    if (theap != nullptr && mi_theap_get_default() == theap) {
      mi_theap_set_default(before);
      continue;
    }
    EXPECT(mi_theap_get_default() == before, "a third theap");
    EXPECT(theap == nullptr || mi_theap_malloc(theap, 100) == nullptr,
           "a block from the dummy");
    AcceptAll();
    mi_theap_set_default(mi_heap_theap(heap));
    EXPECT(mi_theap_get_default() != before, "no real theap later");
    return;
  }
  Note("%d theaps were made though all is refused", kHeaps);
}

FACT(Heap, TheapDeleteReturnsWhatIsEmpty,
     "mi_theap_delete gives back every emptied page of the (thread, heap) "
     "pair, and the heap can be used again by the same thread",
     "alloc/: the thread's theap cache is an LRU of 16 (a pair that freed "
     "all keeps its retired pages otherwise)") {
  StartWithOneRange();
  mi_heap_t* const heap = mi_heap_new();
  mi_theap_t* const theap = mi_heap_theap(heap);
  const size_t sizes[] = {16, kSmall, kMedium, kLarge};
  size_t pages = 0;
  for (const size_t size : sizes) {
    Mark();
    void* const block = mi_theap_malloc(theap, size);
    pages += Count(RecentEvents(), EventKind::kCommit) > 0 ? 1 : 0;
    mi_free(block);
  }
  Mark();
  mi_theap_delete(theap);
  EXPECT(Count(RecentEvents(), EventKind::kDecommit) >= pages - 1,
         "%zu of %zu pages", Count(RecentEvents(), EventKind::kDecommit),
         pages);
  EXPECT(mi_heap_of(mi_heap_malloc(heap, 16)) == heap, "the heap is dead");
}

FACT(Heap, TheapDeleteKeepsLiveBlocks,
     "live blocks stay in their heap over mi_theap_delete, and freeing the "
     "last one of a page gives the page back at once",
     "alloc/: threads drop the theaps of a removed group at their next slow "
     "path") {
  StartWithOneRange();
  mi_heap_t* const heap = mi_heap_new();
  mi_theap_t* const theap = mi_heap_theap(heap);
  char* const block = static_cast<char*>(mi_theap_malloc(theap, kSmall));
  REQUIRE(block != nullptr, "NULL");
  block[0] = 9;
  mi_theap_delete(theap);
  EXPECT(mi_heap_of(block) == heap, "it moved");
  EXPECT(block[0] == 9, "it holds %d", block[0]);
  Mark();
  mi_free(block);
  EXPECT(Count(RecentEvents(), EventKind::kDecommit) == 1, "%zu decommits",
         Count(RecentEvents(), EventKind::kDecommit));
}

FACT(Heap, DeletedDefaultFallsBackToMain,
     "after mi_theap_delete of the thread's default theap malloc still "
     "works, in the main heap",
     "alloc/: switch first, delete then; a slip must not crash") {
  StartWithOneRange();
  mi_theap_t* const theap = mi_heap_theap(mi_heap_new());
  mi_theap_set_default(theap);
  mi_theap_delete(theap);
  void* const block = mi_malloc(100);
  EXPECT(block != nullptr, "NULL");
  EXPECT(mi_heap_of(block) == mi_heap_main(), "another heap");
}

FACT(Heap, DeleteHandsPagesToMain,
     "mi_heap_delete hands live blocks to the main heap",
     "only the reason why a removed group's heap lives on as a zombie") {
  StartWithOneRange();
  mi_heap_t* const heap = mi_heap_new();
  void* const block = mi_heap_malloc(heap, kSmall);
  REQUIRE(block != nullptr, "NULL");
  mi_heap_delete(heap);
  if (mi_heap_of(block) != mi_heap_main()) {
    Note("mi_heap_delete hands blocks elsewhere now");
  }
  mi_free(block);
}

FACT(Heap, DeleteOfAnEmptyHeap,
     "mi_heap_delete of a heap without blocks and theaps gives its metadata "
     "back: 300 heaps made and deleted one after the other commit no more "
     "than 10 do",
     "alloc/: the end of a zombie") {
  StartWithOneRange();
  size_t after_ten = 0;
  Mark();
  for (int i = 0; i < 300; ++i) {
    mi_heap_t* const heap = mi_heap_new();
    REQUIRE(heap != nullptr, "no heap");
    mi_theap_t* const theap = mi_heap_theap(heap);
    mi_free(mi_theap_malloc(theap, 16));
    mi_theap_delete(theap);
    mi_heap_delete(heap);
    size_t held = 0;
    for (const Event& event : RecentEvents()) {
      held += event.kind == EventKind::kMprotect ? event.size : 0;
    }
    if (i == 10) {
      after_ten = held;
    }
    EXPECT(i <= 10 || held <= after_ten + 128 * kKiB, "%zu KiB after %d",
           held / kKiB, i);
  }
}

bool StopVisiting(const mi_heap_t*, const mi_heap_area_t*, void*, size_t,
                  void*) {
  return false;
}

FACT(Heap, VisitingTellsWhetherPagesAreLeft,
     "mi_heap_visit_blocks visits nothing in a heap without theaps whose "
     "blocks were all freed, and something as long as one block lives, be it "
     "in a range or mapped",
     "alloc/: a zombie is looked through before it is deleted") {
  StartWithOneRange();
  const size_t sizes[] = {16, kSmall, kMedium, kLarge, kSingleton, kMapped};
  for (const size_t size : sizes) {
    mi_heap_t* const heap = mi_heap_new();
    mi_theap_t* const theap = mi_heap_theap(heap);
    void* const block = mi_theap_malloc(theap, size);
    mi_free(mi_theap_malloc(theap, size));
    mi_theap_delete(theap);
    EXPECT(!mi_heap_visit_blocks(heap, false, StopVisiting, nullptr),
           "a block of %zu is not seen", size);
    mi_free(block);
    EXPECT(mi_heap_visit_blocks(heap, false, StopVisiting, nullptr),
           "a freed block of %zu is seen", size);
    mi_heap_delete(heap);
  }
}

FACT(Heap, RecordsLieInTheMainHeap,
     "what mimalloc allocates for a heap (its struct, and a record of each "
     "range at the first page there) comes from the thread's main theap, "
     "whatever the default is, and mi_heap_of says so",
     "alloc/: heaps are not made in signal handlers; records that a zombie "
     "was charged for are told by mi_heap_of") {
  StartWithOneRange();
  mi_heap_t* const other = mi_heap_new();
  mi_theap_set_default(mi_heap_theap(other));
  mi_heap_t* const heap = mi_heap_new();
  REQUIRE(heap != nullptr, "no heap");
  EXPECT(mi_heap_of(heap) == mi_heap_main(), "its struct lies elsewhere");
  mi_theap_t* const theap = mi_heap_theap(heap);
  Mark();
  void* const block = mi_theap_malloc(theap, kSingleton);
  EXPECT(mi_heap_of(block) == heap, "the block lies elsewhere");
  for (const Event& event : RecentEvents()) {
    if (event.kind != EventKind::kCommit) continue;
    mi_heap_t* const found = mi_heap_of(reinterpret_cast<void*>(event.start));
    EXPECT(found == heap || found == mi_heap_main(), "a commit for neither");
  }
}

}  // namespace
}  // namespace umemcg
