// malloc before main and after it: constructors, atexit handlers, a library's
// destructors, and threads that still run while the process exits.

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/preload/behaviours/support.h"

static void* from_constructor;

__attribute__((constructor(101))) static void First(void) {
  from_constructor = calloc(1, 70000);
}

__attribute__((destructor)) static void Last(void) {
  CHECK(HasPattern(from_constructor, 70000, 2));
  free(from_constructor);
  free(malloc(100000));
}

static void AtExit(void) {
  void* block = malloc(2 * MIB);
  CHECK(block != NULL);
  memset(block, 1, 2 * MIB);
  free(block);
}

static void* Endless(void* argument) {
  unsigned state = (unsigned)(size_t)argument;
  for (;;) free(malloc(NextRandom(&state) % 100000));
  return NULL;
}

int main(void) {
  Deadline(20);
  CHECK(from_constructor != NULL);
  FillPattern(from_constructor, 70000, 2);
  CHECK(atexit(AtExit) == 0);
  for (size_t i = 0; i < 2; i++) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, Endless, (void*)i) == 0);
  }
  usleep(50000);
  return 0;
}
