// errno and the registered error handler, for each way to fail.

#include <mimalloc.h>

#include <cerrno>
#include <csignal>
#include <cstdint>

#include "tests/mimalloc_contract/child.h"
#include "tests/mimalloc_contract/event_log.h"
#include "tests/mimalloc_contract/fact.h"
#include "tests/mimalloc_contract/os_calls.h"
#include "tests/mimalloc_contract/range.h"

namespace umemcg {
namespace {

// The compiler must not see what is wrong with these.
volatile size_t over_max = static_cast<size_t>(PTRDIFF_MAX) + 10;
volatile size_t sixteen = 16;
volatile size_t bad_alignment = 24;

// A call that fails, and the error that the handler is told: 0 = it is not
// called.
struct Failure {
  const char* name;
  const void* (*call)();
  int told;
};

constexpr Failure kRefused[] = {
    {"malloc(1000)", []() -> const void* { return mi_malloc(1000); }, ENOMEM},
    {"malloc(200 KB)", []() -> const void* { return mi_malloc(kLarge); },
     ENOMEM},
    {"malloc(3 MiB)", []() -> const void* { return mi_malloc(kSingleton); },
     ENOMEM},
    {"malloc(300 MiB)", []() -> const void* { return mi_malloc(kMapped); },
     ENOMEM},
    {"malloc(PTRDIFF_MAX)",
     []() -> const void* { return mi_malloc(over_max - 10); }, ENOMEM},
    {"calloc", []() -> const void* { return mi_calloc(16, kMedium); }, ENOMEM},
    {"realloc", []() -> const void* { return mi_realloc(nullptr, 1000); },
     ENOMEM},
    {"memalign", []() -> const void* { return mi_memalign(4096, 1000); },
     ENOMEM},
    {"aligned to 1 MiB",
     []() -> const void* { return mi_malloc_aligned(1000, kMiB); }, ENOMEM},
    {"valloc", []() -> const void* { return mi_valloc(1000); }, ENOMEM},
    {"nothrow new", []() -> const void* { return mi_new_nothrow(1000); },
     ENOMEM},
};

constexpr Failure kTooLarge[] = {
    {"malloc(> PTRDIFF_MAX)",
     []() -> const void* { return mi_malloc(over_max); }, EOVERFLOW},
    {"realloc(> PTRDIFF_MAX)",
     []() -> const void* { return mi_realloc(nullptr, over_max); }, EOVERFLOW},
    {"nothrow new(> PTRDIFF_MAX)",
     []() -> const void* { return mi_new_nothrow(over_max); }, EOVERFLOW},
    {"memalign(> PTRDIFF_MAX)",
     []() -> const void* { return mi_memalign(4096, over_max); }, EINVAL},
    {"memalign of 24",
     []() -> const void* { return mi_memalign(bad_alignment, 1000); }, EINVAL},
    {"aligned_alloc of 24",
     []() -> const void* { return mi_aligned_alloc(bad_alignment, 1000); },
     EINVAL},
};

constexpr Failure kUntold[] = {
    {"calloc overflow",
     []() -> const void* { return mi_calloc(over_max, sixteen); }, 0},
    {"mallocn overflow",
     []() -> const void* { return mi_mallocn(over_max, sixteen); }, 0},
    {"reallocn overflow",
     []() -> const void* { return mi_reallocn(nullptr, over_max, sixteen); },
     0},
    {"reallocarray overflow",
     []() -> const void* {
       return mi_reallocarray(nullptr, over_max, sixteen);
     },
     0},
    {"pvalloc overflow",
     []() -> const void* { return mi_pvalloc(over_max + over_max - 100); }, 0},
};

void StartRefusing() {
  StartWithOneRange();
  RefuseAll();
  // Uses up what is committed already.
  for (const Failure& failure : kRefused) {
    for (int i = 0; i < 3000 && failure.call() != nullptr; ++i) {
    }
  }
}

// The last error of which the handler was told since the mark, or 0.
int ToldError() {
  const Event* const event = Last(RecentEvents(), EventKind::kError);
  return event != nullptr ? event->value : 0;
}

void ExpectTold(const Failure& failure) {
  Mark();
  EXPECT(failure.call() == nullptr, "%s: a block", failure.name);
  EXPECT(ToldError() == failure.told, "%s: told %d instead of %d", failure.name,
         ToldError(), failure.told);
}

FACT(Errno, HandlerIsToldOfRefusals,
     "a malloc that finds no memory calls the handler of mi_register_error "
     "with ENOMEM",
     "shim/: the handler sets errno = ENOMEM") {
  StartRefusing();
  for (const Failure& failure : kRefused) {
    ExpectTold(failure);
  }
}

FACT(Errno, HandlerIsToldOfSizes,
     "a size over PTRDIFF_MAX is told as EOVERFLOW, but for aligned calls as "
     "EINVAL like a wrong alignment",
     "shim/: the handler maps EOVERFLOW to ENOMEM; aligned calls with such "
     "sizes are checked before") {
  StartWithOneRange();
  for (const Failure& failure : kTooLarge) {
    ExpectTold(failure);
  }
}

FACT(Errno, HandlerIsNotToldOfOverflows,
     "calloc, mallocn, reallocn, reallocarray and pvalloc overflows do not "
     "call the handler",
     "shim/: calloc, reallocarray and pvalloc have a check before the tail "
     "jump") {
  StartWithOneRange();
  for (const Failure& failure : kUntold) {
    Mark();
    EXPECT(failure.call() == nullptr, "%s: a block", failure.name);
    if (ToldError() != 0) {
      Note("%s is told to the handler now (%d)", failure.name, ToldError());
    }
  }
}

FACT(Errno, SetOnlyIfZeroWithoutHandler,
     "without a handler mimalloc sets ENOMEM only where errno was 0; with "
     "one it sets nothing (but a failed mmap leaves ENOMEM)",
     "shim/: errno = ENOMEM is set by the handler, always") {
  SetOptions();
  AddRange(256 * kMiB);
  EXPECT(mi_malloc(16) != nullptr, "NULL");
  RefuseAll();
  SetMimallocMprotect(nullptr);
  errno = 0;
  EXPECT(mi_malloc(kMedium) == nullptr, "a block");
  EXPECT(errno == ENOMEM, "errno %d from 0", errno);
  errno = EINVAL;
  EXPECT(mi_malloc(kMedium) == nullptr, "a block");
  if (errno == ENOMEM) {
    Note("mimalloc sets ENOMEM over another errno now");
  }
  RecordErrors();
  errno = 0;
  EXPECT(mi_malloc(kMedium) == nullptr, "a block");
  if (errno == ENOMEM) {
    Note("mimalloc sets ENOMEM in spite of a handler now");
  }
}

FACT(Errno, WhatTheHandlerSetsStays,
     "errno set in the handler is what the caller sees",
     "shim/: glibc's pthread_create asserts ENOMEM") {
  StartRefusing();
  mi_register_error([](int, void*) { errno = ENOMEM; }, nullptr);
  for (const Failure& failure : kRefused) {
    errno = EINVAL;
    EXPECT(failure.call() == nullptr, "%s: a block", failure.name);
    EXPECT(errno == ENOMEM, "%s: errno %d", failure.name, errno);
  }
}

FACT(Errno, WhatTheHookSetsStays,
     "errno set in the hook of a refused commit is what the caller sees, "
     "where mmap is not asked",
     "shim/: set there too, before the handler") {
  StartRefusing();
  SetMimallocMprotect(nullptr);
  mi_register_error(nullptr, nullptr);
  OnCommit([] { errno = ENOMEM; });
  errno = EINVAL;
  EXPECT(mi_malloc(kMedium) == nullptr, "a block");
  EXPECT(errno == ENOMEM, "errno %d", errno);
}

FACT(Errno, ReallocarrayGives75,
     "mi_reallocarray sets errno to EOVERFLOW (75) on overflow",
     "shim/: reallocarray(3) says ENOMEM, so ours checks first") {
  StartWithOneRange();
  errno = 0;
  EXPECT(mi_reallocarray(nullptr, over_max, sixteen) == nullptr, "a block");
  EXPECT(errno != 0, "errno is not set");
  if (errno != EOVERFLOW) {
    Note("errno is %d after a reallocarray overflow", errno);
  }
}

FACT(Errno, PosixMemalignReturnsIt,
     "mi_posix_memalign returns ENOMEM or EINVAL and leaves the pointer "
     "alone",
     "shim/: a tail jump is enough but for errno, which must be kept") {
  StartRefusing();
  int here = 0;
  void* block = &here;
  EXPECT(mi_posix_memalign(&block, 4096, kSingleton) == ENOMEM, "refused");
  EXPECT(mi_posix_memalign(&block, 24, 100) == EINVAL, "alignment 24");
  EXPECT(mi_posix_memalign(&block, 4096, over_max) == ENOMEM, "size");
  EXPECT(block == &here, "the pointer is %p", block);
}

FACT(Errno, FailedReallocKeepsTheBlock,
     "a refused mi_realloc returns NULL and leaves the block as it was",
     "shim/: realloc is a tail jump") {
  StartWithOneRange();
  char* const block = static_cast<char*>(mi_malloc(kMedium));
  REQUIRE(block != nullptr, "NULL");
  block[kMedium - 1] = 5;
  RefuseAll();
  EXPECT(mi_realloc(block, kSingleton) == nullptr, "a block");
  EXPECT(block[kMedium - 1] == 5, "it holds %d", block[kMedium - 1]);
  mi_free(block);
}

FACT(Errno, NewAborts,
     "mi_new aborts the process when there is no memory: it cannot throw",
     "shim/new.cc: operator new is ours, and finds libstdc++ to throw") {
  const int status = RunForked([] {
    StartRefusing();
    EXPECT(mi_new(kSingleton) == nullptr, "a block");
  });
  if (SignalOf(status) != SIGABRT) {
    Note("mi_new does not abort any more: wait status %#x",
         static_cast<unsigned>(status));
  }
}

}  // namespace
}  // namespace umemcg
