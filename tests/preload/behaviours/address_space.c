// A program whose address space is limited to 512 MiB runs, and meets that
// limit as ENOMEM.
//
//   address_space inherited   the limit was set before the program started
//   address_space own         the program sets it, after its first malloc

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "tests/preload/behaviours/support.h"

static const size_t kSpace = 512 * MIB;

static void SetOwnLimit(void) {
  struct rlimit limit = {kSpace, kSpace};
  CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
}

static void ExpectInheritedLimit(void) {
  struct rlimit limit;
  CHECK(getrlimit(RLIMIT_AS, &limit) == 0);
  CHECK(limit.rlim_cur == kSpace);
}

int main(int argc, char** argv) {
  Deadline(30);
  bool own = argc > 1 && strcmp(argv[1], "own") == 0;
  if (own) {
    free(malloc(100000));
    SetOwnLimit();
  } else {
    ExpectInheritedLimit();
  }
  // Twice: what was refused once must not be lost.
  for (int round = 0; round < 2; round++) {
    struct Ballast* ballast = NULL;
    size_t got = Fill(&ballast, MIB);
    Say("got %zu MiB\n", got);
    CHECK(own || got >= 100);
    CHECK(own || got < 512);
    void* huge = malloc(600 * MIB);
    CHECK(own || (huge == NULL && errno == ENOMEM));
    free(huge);
    Drop(&ballast);
    malloc_trim(0);
  }
  void* small = malloc(1000);
  CHECK(small != NULL);
  free(small);
  return 0;
}
