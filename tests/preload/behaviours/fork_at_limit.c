// fork while threads are being refused memory and take it from each other: no
// child hangs, each may allocate up to the limit and gives all back. Run with
// a limit of 64 MiB.

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/preload/behaviours/support.h"

enum { kWorkers = 5, kForkers = 3, kForks = 50, kLive = 200 };

static atomic_bool stop;
static atomic_long refused;

// 5 threads want some 120 MiB together: at the limit nearly always.
static void* Work(void* argument) {
  unsigned state = (unsigned)(size_t)argument;
  void* live[kLive] = {NULL};
  while (!atomic_load(&stop)) {
    unsigned slot = NextRandom(&state) % kLive;
    free(live[slot]);
    size_t size = (size_t)16 << (NextRandom(&state) % 17);
    errno = EINVAL;
    live[slot] = malloc(size);
    if (live[slot] == NULL) {
      CHECK(errno == ENOMEM);
      atomic_fetch_add(&refused, 1);
    } else {
      CHECK(errno == EINVAL);
      memset(live[slot], 1, size);
    }
  }
  for (int i = 0; i < kLive; i++) free(live[i]);
  return NULL;
}

static void Child(void) {
  Deadline(20);
  struct Ballast* ballast = NULL;
  for (int i = 0; i < 100; i++) {
    errno = EINVAL;
    struct Ballast* block = malloc(100000);
    if (block == NULL) {
      CHECK(errno == ENOMEM);
      break;
    }
    memset(block, 1, 100000);
    block->next = ballast;
    ballast = block;
  }
  Drop(&ballast);
  malloc_trim(0);
  _exit(0);
}

static void* ForkAgainAndAgain(void* argument) {
  for (int i = 0; i < kForks; i++) {
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) Child();
    int status = 0;
    while (waitpid(child, &status, 0) < 0) CHECK(errno == EINTR);
    if (status != 0) Say("child status 0x%x\n", (unsigned)status);
    CHECK(status == 0);
  }
  return argument;
}

int main(void) {
  Deadline(60);
  pthread_t workers[kWorkers];
  pthread_t forkers[kForkers];
  for (size_t i = 0; i < kWorkers; i++) {
    CHECK(pthread_create(&workers[i], NULL, Work, (void*)(i + 1)) == 0);
  }
  for (int i = 0; i < kForkers; i++) {
    CHECK(pthread_create(&forkers[i], NULL, ForkAgainAndAgain, NULL) == 0);
  }
  for (int i = 0; i < kForkers; i++) pthread_join(forkers[i], NULL);
  atomic_store(&stop, true);
  for (int i = 0; i < kWorkers; i++) pthread_join(workers[i], NULL);
  malloc_trim(0);
  long long left = Figure("memory.current");
  Say("%ld refused; left %lld bytes\n", atomic_load(&refused), left);
  CHECK(atomic_load(&refused) > 0);
  CHECK(left < (long long)(2 * MIB));
  return 0;
}
