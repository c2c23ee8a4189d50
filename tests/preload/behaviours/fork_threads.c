// fork while threads allocate: the child mallocs at once, from whichever
// thread forked, and forks again; nothing hangs and every child ends well.

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/preload/behaviours/support.h"

enum { kWorkers = 4, kForkers = 2, kForks = 60, kLive = 64 };

static atomic_bool stop;

// Keeps the allocator's locks busy: all sizes, the largest mapped one by one.
static void* Work(void* argument) {
  unsigned state = (unsigned)(size_t)argument;
  void* live[kLive] = {NULL};
  while (!atomic_load(&stop)) {
    unsigned slot = NextRandom(&state) % kLive;
    free(live[slot]);
    size_t size = (size_t)16 << (NextRandom(&state) % 14);
    live[slot] = malloc(size);
    if (live[slot] != NULL) memset(live[slot], 1, size < 64 ? size : 64);
  }
  for (int i = 0; i < kLive; i++) free(live[i]);
  return NULL;
}

static void AllocateAfterFork(void) {
  static const size_t kSizes[] = {1, 100, 5000, 100000, 4 * MIB};
  for (size_t i = 0; i < sizeof(kSizes) / sizeof(kSizes[0]); i++) {
    void* block = malloc(kSizes[i]);
    CHECK(block != NULL);
    FillPattern(block, kSizes[i], 1);
    block = realloc(block, kSizes[i] * 2);
    CHECK(block != NULL && HasPattern(block, kSizes[i], 1));
    free(block);
    free(calloc(1, kSizes[i]));
  }
}

static void WaitFor(pid_t child) {
  int status = 0;
  pid_t done;
  do {
    done = waitpid(child, &status, 0);
  } while (done < 0 && errno == EINTR);
  CHECK(done == child);
  if (!WIFEXITED(status)) Say("child status 0x%x\n", (unsigned)status);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

// What the parent allocated before fork is the child's to read and to free.
static void Child(void* inherited) {
  Deadline(20);
  AllocateAfterFork();
  CHECK(HasPattern(inherited, 30000, 9));
  free(inherited);
  void* held = malloc(8 * MIB);
  CHECK(held != NULL);
  memset(held, 1, 8 * MIB);
  long long current = Figure("memory.current");
  CHECK(current < 0 || current >= (long long)(8 * MIB));
  pid_t grandchild = fork();
  CHECK(grandchild >= 0);
  if (grandchild == 0) {
    AllocateAfterFork();
    _exit(0);
  }
  WaitFor(grandchild);
  free(held);
  _exit(0);
}

static void* ForkAgainAndAgain(void* argument) {
  (void)argument;
  for (int i = 0; i < kForks; i++) {
    void* block = malloc(30000);
    CHECK(block != NULL);
    FillPattern(block, 30000, 9);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) Child(block);
    WaitFor(child);
    free(block);
  }
  return NULL;
}

int main(void) {
  Deadline(50);
  pthread_t workers[kWorkers];
  pthread_t forkers[kForkers];
  for (size_t i = 0; i < kWorkers; i++) {
    CHECK(pthread_create(&workers[i], NULL, Work, (void*)(i + 1)) == 0);
  }
  for (int i = 0; i < kForkers; i++) {
    CHECK(pthread_create(&forkers[i], NULL, ForkAgainAndAgain, NULL) == 0);
  }
  ForkAgainAndAgain(NULL);
  for (int i = 0; i < kForkers; i++) pthread_join(forkers[i], NULL);
  atomic_store(&stop, true);
  for (int i = 0; i < kWorkers; i++) pthread_join(workers[i], NULL);
  AllocateAfterFork();
  return 0;
}
