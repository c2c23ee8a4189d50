// When memory comes back, on which thread, and how much at a time.

#include <mimalloc.h>
#include <pthread.h>
#include <unistd.h>

#include "tests/mimalloc_contract/event_log.h"
#include "tests/mimalloc_contract/fact.h"
#include "tests/mimalloc_contract/os_calls.h"
#include "tests/mimalloc_contract/range.h"

namespace umemcg {
namespace {

void FreeOnOtherThread(void* block) {
  pthread_t thread;
  pthread_create(
      &thread, nullptr,
      [](void* argument) -> void* {
        mi_free(argument);
        return nullptr;
      },
      block);
  pthread_join(thread, nullptr);
}

FACT(Decommit, SingletonAtOnce,
     "with purge_delay = 0 freeing a block of a page of its own (over 512 "
     "KiB) calls the hook within mi_free: one decommit of what was committed",
     "alloc/: usage falls when the program frees") {
  StartWithOneRange();
  Mark();
  void* const block = mi_malloc(kSingleton);
  mi_free(block);
  REQUIRE(RecentEvents().size() == 2, "%zu events", RecentEvents().size());
  const Event& commit = RecentEvents()[0];
  const Event& decommit = RecentEvents()[1];
  EXPECT(decommit.kind == EventKind::kDecommit, "no decommit");
  EXPECT(decommit.start == commit.start && decommit.size == commit.size,
         "%zu KiB back of %zu", decommit.size / kKiB, commit.size / kKiB);
}

FACT(Decommit, CallingThreadIsTheFreeingOne,
     "a decommit comes on the thread that frees, also when another thread's "
     "heap owned the block",
     "alloc/: the owner of a page is looked up in the page table, not taken "
     "from the thread") {
  StartWithOneRange();
  void* const block = mi_malloc(kSingleton);
  Mark();
  FreeOnOtherThread(block);
  const Event* const decommit = First(RecentEvents(), EventKind::kDecommit);
  REQUIRE(decommit != nullptr, "no decommit");
  EXPECT(decommit->tid != gettid(), "on the thread which allocated");
}

FACT(Decommit, SharedPagesWaitForTheirOwner,
     "small, medium and large blocks of a live thread which another thread "
     "frees come back only when the owner looks (at its next slow path or "
     "collect), on the owner's thread",
     "reclaim/: memory freed elsewhere is won back by a collect on the owner") {
  StartWithOneRange();
  void* const blocks[] = {mi_malloc(kSmall), mi_malloc(kMedium),
                          mi_malloc(kLarge)};
  Mark();
  for (void* const block : blocks) {
    FreeOnOtherThread(block);
  }
  EXPECT(Count(RecentEvents(), EventKind::kDecommit) == 0, "already %zu",
         Count(RecentEvents(), EventKind::kDecommit));
  mi_collect(true);
  EXPECT(Count(RecentEvents(), EventKind::kDecommit) >= 3, "%zu after collect",
         Count(RecentEvents(), EventKind::kDecommit));
}

FACT(Decommit, ForcedCollectReturnsRetiredPages,
     "an emptied small, medium or large page is kept (retired) at first; a "
     "forced mi_theap_collect gives it back",
     "reclaim/: collecting is the second thing which a refused charge tries") {
  StartWithOneRange();
  void* const blocks[] = {mi_malloc(kSmall), mi_malloc(kMedium),
                          mi_malloc(kLarge)};
  Mark();
  for (void* const block : blocks) {
    mi_free(block);
  }
  EXPECT(Count(RecentEvents(), EventKind::kDecommit) == 0, "already %zu",
         Count(RecentEvents(), EventKind::kDecommit));
  mi_theap_collect(mi_theap_get_default(), true);
  EXPECT(Count(RecentEvents(), EventKind::kDecommit) >= 3, "%zu after collect",
         Count(RecentEvents(), EventKind::kDecommit));
}

FACT(Decommit, WholeSlicesWithUncommittedPages,
     "a decommit is the whole mimalloc page in whole 64 KiB slices (64 KiB, "
     "512 KiB, 4 MiB), also where only its first 16 KiB were ever committed",
     "alloc/: a decommit covers pages in state reserved; they are skipped, "
     "not uncharged") {
  StartWithOneRange();
  constexpr struct {
    size_t block;
    size_t page;
  } kSizes[] = {{4096, 64 * kKiB}, {kMedium, 512 * kKiB}, {kLarge, 4 * kMiB}};
  for (const auto& size : kSizes) {
    Mark();
    mi_free(mi_malloc(size.block));
    mi_collect(true);
    const Event* const commit = First(RecentEvents(), EventKind::kCommit);
    const Event* const decommit = Last(RecentEvents(), EventKind::kDecommit);
    REQUIRE(commit != nullptr && decommit != nullptr, "no commit or decommit");
    EXPECT(decommit->start == commit->start, "it starts %zd KiB from the page",
           static_cast<ssize_t>(decommit->start - commit->start) / 1024);
    EXPECT(decommit->size == size.page, "%zu KiB", decommit->size / kKiB);
    EXPECT(commit->size < decommit->size, "%zu KiB were committed",
           commit->size / kKiB);
  }
}

FACT(Decommit, TrueMeansCommitAgain,
     "after true as the answer to a decommit the next use of the memory is "
     "committed again",
     "alloc/: only so is reused memory charged") {
  StartWithOneRange();
  mi_free(mi_malloc(kSingleton));
  Mark();
  mi_free(mi_malloc(kSingleton));
  EXPECT(Count(RecentEvents(), EventKind::kCommit) == 1, "%zu commits",
         Count(RecentEvents(), EventKind::kCommit));
}

FACT(Decommit, FalseMeansNoCommit,
     "after false as the answer to a decommit mimalloc reuses the memory "
     "without a commit",
     "only the reason for always answering true") {
  StartWithOneRange();
  AnswerDecommits(false);
  mi_free(mi_malloc(kSingleton));
  Mark();
  mi_free(mi_malloc(kSingleton));
  if (Count(RecentEvents(), EventKind::kCommit) > 0) {
    Note("memory is committed again after a decommit that was answered false");
  }
}

FACT(Decommit, RefusedCommitIsDecommitted,
     "after a refused first step of a small, medium or large page a decommit "
     "of that whole page follows, of which nothing was committed",
     "alloc/: a decommit of reserved pages is no error, and is answered true") {
  StartWithOneRange();
  RefuseAll();
  const size_t sizes[] = {4096, kMedium, kLarge};
  for (const size_t size : sizes) {
    Mark();
    EXPECT(mi_malloc(size) == nullptr, "a block of %zu", size);
    const Event* const commit = First(RecentEvents(), EventKind::kCommit);
    const Event* const decommit = First(RecentEvents(), EventKind::kDecommit);
    REQUIRE(commit != nullptr, "no commit");
    if (decommit == nullptr) {
      Note("no decommit after a refused commit of %zu", size);
      continue;
    }
    EXPECT(
        decommit->start % kSliceSize == 0 && decommit->size % kSliceSize == 0,
        "start %#zx, %zu KiB", decommit->start, decommit->size / kKiB);
  }
}

FACT(Decommit, HugePagesDoNotHoldItBack,
     "with purge_delay = 0 single slices come back at once also where "
     "mimalloc would purge by 2 MiB (allow_thp = 2 on a machine with THP "
     "always)",
     "alloc/: usage does not depend on the machine's THP setting") {
  SetOptions();
  mi_option_set(mi_option_allow_thp, 2);
  mi_option_set(mi_option_arena_purge_min_size, 2048);
  AddRange(256 * kMiB);
  EXPECT(mi_malloc(16) != nullptr, "NULL");
  Mark();
  mi_free(mi_malloc(600'000));
  mi_free(mi_malloc(kSmall));
  mi_collect(true);
  EXPECT(Count(RecentEvents(), EventKind::kDecommit) >= 2, "%zu decommits",
         Count(RecentEvents(), EventKind::kDecommit));
}

FACT(Decommit, NothingElseIsGivenBack,
     "mimalloc itself calls neither madvise nor mprotect(PROT_NONE) nor "
     "munmap on memory of a range",
     "alloc/: the hook alone decides what stays resident (cached pages)") {
  const Range range = StartWithOneRange();
  const size_t sizes[] = {8, kSmall, kMedium, kLarge, kSingleton, 100 * kMiB};
  for (int round = 0; round < 3; ++round) {
    for (const size_t size : sizes) {
      mi_free(mi_malloc(size));
    }
    mi_collect(true);
  }
  for (const Event& event : Events()) {
    const bool gives_back =
        event.kind == EventKind::kMadvise || event.kind == EventKind::kMunmap ||
        (event.kind == EventKind::kMprotect && event.value == 0);
    EXPECT(!gives_back || !range.Contains(event.start), "kind %d, %zu KiB",
           static_cast<int>(event.kind), event.size / kKiB);
  }
}

}  // namespace
}  // namespace umemcg
