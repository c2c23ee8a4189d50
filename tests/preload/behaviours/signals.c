// Signal handlers during storms of malloc, below the limit and at it. The
// handlers do not allocate (they may not), but they come at any instruction,
// on an alternate stack in some threads, and interrupt every system call. Run
// with a limit of 64 MiB.

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

#include "tests/preload/behaviours/support.h"

enum { kThreads = 3, kLive = 50, kSeconds = 3 };

static atomic_long caught;
static atomic_bool stop;

static void Handle(int number) {
  int saved = errno;
  atomic_fetch_add(&caught, 1);
  errno = number;
  errno = saved;
}

struct Slot {
  unsigned char* block;
  size_t size;
};

static void Refill(struct Slot* slot, unsigned* state) {
  if (slot->block != NULL) {
    CHECK(HasPattern(slot->block, slot->size, (unsigned)slot->size));
    free(slot->block);
  }
  unsigned kind = NextRandom(state) % 50;
  slot->size = 1 + NextRandom(state) % (kind == 0 ? 3 * MIB : 5000);
  errno = EINVAL;
  slot->block = malloc(slot->size);
  if (slot->block == NULL) {
    CHECK(errno == ENOMEM);
    return;
  }
  FillPattern(slot->block, slot->size, (unsigned)slot->size);
}

static void* Storm(void* argument) {
  unsigned state = (unsigned)(size_t)argument;
  stack_t stack = {.ss_sp = malloc(64 * 1024), .ss_size = 64 * 1024};
  CHECK(stack.ss_sp != NULL);
  CHECK(sigaltstack(&stack, NULL) == 0);
  struct Slot slots[kLive];
  memset(slots, 0, sizeof(slots));
  while (!atomic_load(&stop))
    Refill(&slots[NextRandom(&state) % kLive], &state);
  for (int i = 0; i < kLive; i++) free(slots[i].block);
  stack_t none = {.ss_flags = SS_DISABLE};
  CHECK(sigaltstack(&none, NULL) == 0);
  free(stack.ss_sp);
  return NULL;
}

static void Install(int number, int flags) {
  struct sigaction action;
  memset(&action, 0, sizeof(action));
  action.sa_handler = Handle;
  action.sa_flags = flags;
  CHECK(sigaction(number, &action, NULL) == 0);
}

// A tick of the process each 0.3 ms; the kernel picks the thread.
static void StartTimer(void) {
  struct sigevent event = {.sigev_notify = SIGEV_SIGNAL,
                           .sigev_signo = SIGUSR2};
  struct itimerspec period = {{0, 300000}, {0, 300000}};
  timer_t timer;
  CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
  CHECK(timer_settime(timer, 0, &period, NULL) == 0);
}

int main(void) {
  Deadline(30);
  Install(SIGUSR1, SA_ONSTACK);
  Install(SIGUSR2, SA_ONSTACK | SA_RESTART);
  Install(SIGPROF, SA_RESTART);
  pthread_t threads[kThreads];
  for (size_t i = 0; i < kThreads; i++) {
    CHECK(pthread_create(&threads[i], NULL, Storm, (void*)(i + 1)) == 0);
  }
  struct itimerval period = {{0, 700}, {0, 700}};
  CHECK(setitimer(ITIMER_PROF, &period, NULL) == 0);
  StartTimer();
  struct Ballast* ballast = NULL;
  time_t end = time(NULL) + kSeconds;
  while (time(NULL) < end) {
    for (int i = 0; i < kThreads; i++) pthread_kill(threads[i], SIGUSR1);
    // At the limit for a while, then off it.
    Fill(&ballast, MIB);
    Drop(&ballast);
  }
  atomic_store(&stop, true);
  for (int i = 0; i < kThreads; i++) pthread_join(threads[i], NULL);
  Say("%ld signals caught\n", atomic_load(&caught));
  CHECK(atomic_load(&caught) > 100);
  return 0;
}
