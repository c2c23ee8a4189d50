// A shared object that allocates in its constructor, its destructor, and for
// each thread that calls it.

#include <stdlib.h>
#include <string.h>

static void* held;
static __thread void* of_thread;

__attribute__((constructor)) static void Open(void) {
  held = malloc(10000);
  if (held == NULL) abort();
  memset(held, 1, 10000);
}

__attribute__((destructor)) static void Close(void) {
  free(held);
  free(malloc(500));
}

__attribute__((visibility("default"))) int ModuleWork(int size);

int ModuleWork(int size) {
  free(of_thread);
  of_thread = malloc((size_t)size);
  if (of_thread == NULL) return -1;
  memset(of_thread, 2, (size_t)size);
  int sum = ((char*)held)[0] + ((char*)of_thread)[size - 1];
  free(of_thread);
  of_thread = NULL;
  return sum;
}
