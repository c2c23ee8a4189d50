/* idle_threads N: N threads that each allocated once and sleep; then, as it is
 * told line by line, the one that is awake takes what is left. */

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static pthread_barrier_t all_there;

static void* idle(void* unused) {
  (void)unused;
  if (malloc(5000) == NULL) exit(2);
  pthread_barrier_wait(&all_there);
  for (;;) pause();
}

int main(int argc, char** argv) {
  const unsigned threads = argc == 2 ? (unsigned)atoi(argv[1]) : 0;
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 65536);
  pthread_barrier_init(&all_there, NULL, threads + 1);
  for (unsigned i = 0; i < threads; ++i) {
    pthread_t thread;
    if (pthread_create(&thread, &attributes, idle, NULL) != 0) return 3;
  }
  pthread_barrier_wait(&all_there);
  puts("idle");
  fflush(stdout);
  getchar();
  size_t got = 0;
  while (got < (size_t)4 << 30 && malloc(65536) != NULL) got += 65536;
  printf("%zu\n", got);
  fflush(stdout);
  getchar();
  return 0;
}
