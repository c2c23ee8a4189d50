// What the calls report at the limit, whatever errno was before: run with a
// limit of 64 MiB.

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tests/preload/behaviours/support.h"

static const size_t kBig = 8 * MIB;  // never fits once the memory is full

// The call must refuse with ENOMEM, whatever errno was.
#define REFUSED(call)                                            \
  do {                                                           \
    static const int kBefore[] = {0, EINVAL, ENOMEM, 4711};      \
    for (size_t i = 0; i < sizeof(kBefore) / sizeof(int); i++) { \
      errno = kBefore[i];                                        \
      CHECK((call) == NULL);                                     \
      CHECK(errno == ENOMEM);                                    \
    }                                                            \
  } while (0)

static char large[4 * MIB];

// Called through a pointer that the compiler cannot see through: it warns that
// the block may be gone, which is just what must not be so after a refusal.
static void* (*volatile reallocarray_)(void*, size_t, size_t) = reallocarray;

static void* Nothing(void* argument) { return argument; }

static void Refusals(void) {
  volatile size_t most = SIZE_MAX;
  volatile size_t half = SIZE_MAX / 2 + 2;
  REFUSED(malloc(kBig));
  REFUSED(malloc(most));
  REFUSED(calloc(1, kBig));
  REFUSED(calloc(half, 2));
  REFUSED(calloc(most, most));
  REFUSED(realloc(NULL, kBig));
  REFUSED(reallocarray(NULL, kBig, 1));
  REFUSED(reallocarray(NULL, half, 2));
  REFUSED(aligned_alloc(4096, kBig));
  REFUSED(aligned_alloc(MIB, kBig));
  REFUSED(memalign(64, kBig));
  REFUSED(valloc(kBig));
  REFUSED(pvalloc(kBig));
  // Too large for an arena's page: mimalloc maps it by itself.
  REFUSED(malloc(300 * MIB));
  REFUSED(calloc(300, MIB));
  REFUSED(aligned_alloc(256 * 1024, 300 * MIB));
}

static void PosixMemalign(void) {
  static const size_t kAligns[] = {8, 64, 4096, 128 * 1024, 2 * MIB};
  for (size_t i = 0; i < sizeof(kAligns) / sizeof(kAligns[0]); i++) {
    void* block = &block;
    errno = EINVAL;
    CHECK(posix_memalign(&block, kAligns[i], kBig) == ENOMEM);
    CHECK(errno == EINVAL);
    CHECK(block == &block);
    CHECK(posix_memalign(&block, kAligns[i], 300 * MIB) == ENOMEM);
    CHECK(errno == EINVAL);
  }
}

static void ReallocLeavesTheBlock(void* block, size_t size) {
  volatile size_t most = SIZE_MAX;
  FillPattern(block, size, 5);
  REFUSED(realloc(block, size + kBig));
  CHECK(HasPattern(block, size, 5));
  REFUSED(realloc(block, most));
  CHECK(HasPattern(block, size, 5));
  REFUSED(reallocarray_(block, 300, MIB));
  CHECK(HasPattern(block, size, 5));
  REFUSED(reallocarray_(block, most / 2 + 2, 2));
  CHECK(HasPattern(block, size, 5));
}

// EAGAIN, or a thread that works: never an abort in libc.
static void PthreadCreate(void) {
  for (int i = 0; i < 20; i++) {
    pthread_t thread;
    errno = EINVAL;
    int error = pthread_create(&thread, NULL, Nothing, large);
    CHECK(error == 0 || error == EAGAIN);
    if (error != 0) continue;
    void* result = NULL;
    CHECK(pthread_join(thread, &result) == 0);
    CHECK(result == large);
  }
}

// libc's own callers of malloc report it as they should.
static void LibcCallers(void) {
  memset(large, 'x', sizeof(large) - 1);
  REFUSED(strdup(large));
}

int main(void) {
  Deadline(60);
  struct Ballast* ballast = NULL;
  void* small = malloc(1000);
  void* page = malloc(10000);
  void* mib = malloc(MIB);
  CHECK(small != NULL && page != NULL && mib != NULL);
  CHECK(Fill(&ballast, MIB) > 30);
  Refusals();
  PosixMemalign();
  ReallocLeavesTheBlock(small, 1000);
  ReallocLeavesTheBlock(page, 10000);
  ReallocLeavesTheBlock(mib, MIB);
  LibcCallers();
  PthreadCreate();
  FillToTheBrim(&ballast);
  PthreadCreate();
  Refusals();
  PosixMemalign();
  Drop(&ballast);
  free(small);
  free(page);
  free(mib);
  // All the room is there again.
  CHECK(Fill(&ballast, MIB) > 30);
  Drop(&ballast);
  return 0;
}
