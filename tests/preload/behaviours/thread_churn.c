// Threads that come and go: each leaves blocks behind for another to free, and
// allocates in its key destructors. At the end the memory is given back.

#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "tests/preload/behaviours/support.h"

enum { kGenerations = 150, kThreads = 8, kLeft = 40 };

struct Work {
  unsigned seed;
  unsigned char* left[kLeft];  // for the main thread to free
  size_t sizes[kLeft];
};

static pthread_key_t key;

// Runs after the thread's function, some of them after the allocator's own
// destructor: allocates, and sets itself up once more.
static void Destroy(void* value) {
  size_t* rounds = value;
  size_t more = *rounds;
  free(rounds);
  void* block = malloc(20000);
  CHECK(block != NULL);
  memset(block, 3, 20000);
  free(block);
  if (more == 0) return;
  size_t* next = malloc(sizeof(*next));
  CHECK(next != NULL);
  *next = more - 1;
  CHECK(pthread_setspecific(key, next) == 0);
}

static void* Run(void* argument) {
  struct Work* work = argument;
  unsigned state = work->seed;
  size_t* rounds = malloc(sizeof(*rounds));
  CHECK(rounds != NULL);
  *rounds = 2;
  CHECK(pthread_setspecific(key, rounds) == 0);
  for (size_t i = 0; i < kLeft; i++) {
    size_t size = 1 + NextRandom(&state) % (i % 8 == 0 ? 200000 : 2000);
    work->left[i] = malloc(size);
    work->sizes[i] = size;
    CHECK(work->left[i] != NULL);
    FillPattern(work->left[i], size, work->seed);
    free(malloc(size * 2));
  }
  return NULL;
}

static void Generation(unsigned generation) {
  struct Work works[kThreads];
  pthread_t threads[kThreads];
  for (unsigned i = 0; i < kThreads; i++) {
    works[i].seed = generation * kThreads + i;
    CHECK(pthread_create(&threads[i], NULL, Run, &works[i]) == 0);
  }
  for (int i = 0; i < kThreads; i++) {
    CHECK(pthread_join(threads[i], NULL) == 0);
  }
  for (int i = 0; i < kThreads; i++) {
    for (int j = 0; j < kLeft; j++) {
      CHECK(HasPattern(works[i].left[j], works[i].sizes[j], works[i].seed));
      free(works[i].left[j]);
    }
  }
}

int main(void) {
  Deadline(50);
  CHECK(pthread_key_create(&key, Destroy) == 0);
  for (unsigned i = 0; i < kGenerations; i++) Generation(i);
  malloc_trim(0);
  long long left = Figure("memory.current");
  Say("left %lld bytes\n", left);
  CHECK(left < (long long)(2 * MIB));
  return 0;
}
