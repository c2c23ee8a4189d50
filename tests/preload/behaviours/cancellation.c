// malloc is no cancellation point: a thread with a cancellation pending goes
// through every call, the first refusal and its message included, and is
// cancelled where it asks to be. Run with a limit of 64 MiB.

#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "tests/preload/behaviours/support.h"

static atomic_int passed;

static void AllocateAtTheLimit(void) {
  struct Ballast* ballast = NULL;
  CHECK(Fill(&ballast, MIB) > 30);
  for (int i = 0; i < 50; i++) {
    CHECK(malloc(8 * MIB) == NULL);
    CHECK(calloc(8, MIB) == NULL);
    CHECK(realloc(NULL, 8 * MIB) == NULL);
    CHECK(aligned_alloc(4096, 8 * MIB) == NULL);
    CHECK(malloc(300 * MIB) == NULL);
  }
  Drop(&ballast);
  malloc_trim(0);
}

// The cancellation is pending from before the thread's first allocation.
static void* Doomed(void* argument) {
  (void)argument;
  CHECK(pthread_cancel(pthread_self()) == 0);
  void* first = malloc(100);
  CHECK(first != NULL);
  free(first);
  AllocateAtTheLimit();
  atomic_fetch_add(&passed, 1);
  pthread_testcancel();
  atomic_fetch_add(&passed, 1000);
  return NULL;
}

static void* Endless(void* argument) {
  (void)argument;
  for (;;) {
    void* block = malloc(5000);
    CHECK(block != NULL);
    memset(block, 1, 5000);
    free(block);
    pthread_testcancel();
  }
  return NULL;
}

static void* AwaitCancel(void* argument) {
  void** block = argument;
  pthread_cleanup_push(free, *block);
  for (;;) pthread_testcancel();
  pthread_cleanup_pop(1);
  return NULL;
}

static void ExpectCancelled(pthread_t thread) {
  void* result = NULL;
  CHECK(pthread_join(thread, &result) == 0);
  CHECK(result == PTHREAD_CANCELED);
}

// Cancelled from outside, again and again: no lock is left behind.
static void CancelFromOutside(void) {
  for (int i = 0; i < 200; i++) {
    pthread_t thread;
    void* block = malloc(20000);
    CHECK(block != NULL);
    if (i % 2 == 0) {
      free(block);
      CHECK(pthread_create(&thread, NULL, Endless, NULL) == 0);
    } else {
      CHECK(pthread_create(&thread, NULL, AwaitCancel, &block) == 0);
    }
    free(malloc(100000));
    CHECK(pthread_cancel(thread) == 0);
    ExpectCancelled(thread);
  }
}

int main(void) {
  Deadline(40);
  for (int i = 1; i <= 3; i++) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, Doomed, NULL) == 0);
    ExpectCancelled(thread);
    CHECK(atomic_load(&passed) == i);
  }
  CancelFromOutside();
  free(malloc(MIB));
  return 0;
}
