// dlopen and dlclose in a loop, from several threads at once, while another
// only allocates: the loader's lock and the allocator's never meet crosswise.
//
//   dlopen_loop MODULE.so

#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

#include "tests/preload/behaviours/support.h"

enum { kThreads = 3, kRounds = 300 };

static const char* module;
static atomic_bool stop;

static void* OpenAndClose(void* argument) {
  (void)argument;
  for (int i = 0; i < kRounds; i++) {
    void* handle = dlopen(module, i % 2 == 0 ? RTLD_NOW : RTLD_LAZY);
    if (handle == NULL) Say("%s\n", dlerror());
    CHECK(handle != NULL);
    int (*work)(int) = (int (*)(int))(uintptr_t)dlsym(handle, "ModuleWork");
    CHECK(work != NULL && work(1 + i * 37) == 3);
    CHECK(dlsym(handle, "no_such_symbol") == NULL);
    CHECK(dlerror() != NULL);
    CHECK(dlclose(handle) == 0);
    CHECK(dlopen("/no/such/module.so", RTLD_NOW) == NULL);
  }
  return NULL;
}

static void* Allocate(void* argument) {
  (void)argument;
  unsigned state = 1;
  while (!atomic_load(&stop)) free(malloc(NextRandom(&state) % 300000));
  return NULL;
}

int main(int argc, char** argv) {
  Deadline(40);
  CHECK(argc == 2);
  module = argv[1];
  pthread_t allocator;
  pthread_t threads[kThreads];
  CHECK(pthread_create(&allocator, NULL, Allocate, NULL) == 0);
  for (int i = 0; i < kThreads; i++) {
    CHECK(pthread_create(&threads[i], NULL, OpenAndClose, NULL) == 0);
  }
  for (int i = 0; i < kThreads; i++) pthread_join(threads[i], NULL);
  atomic_store(&stop, true);
  pthread_join(allocator, NULL);
  return 0;
}
