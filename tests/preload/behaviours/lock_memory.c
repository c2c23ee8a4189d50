// mlockall must not make the allocator's reserved ranges resident, and malloc
// works afterwards.

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/preload/behaviours/support.h"

int main(void) {
  Deadline(30);
  free(malloc(100000));
  if (mlockall(MCL_CURRENT | MCL_FUTURE) != 0) {
    if (errno == EPERM || errno == ENOMEM) Skip("not allowed to lock memory");
    CHECK(errno == 0);
  }
  long long locked = StatusKb("VmRSS");
  Say("resident after mlockall: %lld kB\n", locked);
  CHECK(locked < 64 * 1024);
  struct Ballast* ballast = NULL;
  for (int i = 0; i < 20; i++) {
    struct Ballast* block = malloc(MIB);
    CHECK(block != NULL);
    memset(block, 1, MIB);
    block->next = ballast;
    ballast = block;
  }
  long long full = StatusKb("VmRSS");
  long long current = Figure("memory.current");
  Say("resident with 20 MiB: %lld kB; current %lld\n", full, current);
  CHECK(full >= locked + 15 * 1024);
  CHECK(full < locked + 64 * 1024);
  CHECK(current < 0 || current >= (long long)(20 * MIB));
  Drop(&ballast);
  // Locked pages can be given back all the same.
  malloc_trim(0);
  current = Figure("memory.current");
  Say("current after trim: %lld\n", current);
  CHECK(current < (long long)(4 * MIB));
  CHECK(munlockall() == 0);
  free(malloc(5 * MIB));
  return 0;
}
