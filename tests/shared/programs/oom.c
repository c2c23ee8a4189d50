/* A program that takes memory as it is told, an order a line, and answers each
 * with a line. */

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { kMiB = 1 << 20, kBlock = 1 << 16, kMost = 4096 };

static char* blocks[kMost];
static int taken;

static void* touched(size_t bytes) {
  char* block = malloc(bytes);
  if (block != NULL) memset(block, 1, bytes);
  return block;
}

static void answer(const char* word, long number) {
  printf("%s %ld\n", word, number);
  fflush(stdout);
}

/* In blocks of 64 KiB, up to the first that fails; how many MiB. */
static long take(long mib) {
  const int before = taken;
  while ((taken - before) < mib * (kMiB / kBlock) && taken < kMost) {
    blocks[taken] = touched(kBlock);
    if (blocks[taken] == NULL) break;
    ++taken;
  }
  return (long)(taken - before) / (kMiB / kBlock);
}

static void drop(long mib) {
  for (long i = 0; i < mib * (kMiB / kBlock) && taken > 0; ++i) {
    free(blocks[--taken]);
  }
  malloc_trim(0);
}

static void* one(void* bytes) { return touched((size_t)bytes); }

/* As many threads, each with one block; how many got it. */
static long threads(long count, long mib) {
  pthread_t thread[16];
  long got = 0;
  for (long i = 0; i < count; ++i) {
    pthread_create(&thread[i], NULL, one, (void*)(mib * kMiB));
  }
  for (long i = 0; i < count; ++i) {
    void* block = NULL;
    pthread_join(thread[i], &block);
    got += block != NULL;
  }
  return got;
}

/* Never chosen, if that may be said. */
static long spare(void) {
  const int fd = open("/proc/self/oom_score_adj", O_WRONLY);
  const ssize_t written = fd >= 0 ? write(fd, "-1000", 5) : -1;
  if (fd >= 0) close(fd);
  return written == 5;
}

static int calls;
static int make_room(void* group, size_t bytes, void* cache) {
  ++calls;
  if (group == NULL || bytes == 0) return 0;
  /* malloc may be called here. */
  free(malloc(100));
  char** block = cache;
  if (*block == NULL) return 0;
  free(*block);
  *block = NULL;
  return 1;
}

static char* cache;
static long with_cache(long mib) {
  int (*set)(int (*)(void*, size_t, void*), void*) = NULL;
  *(void**)&set = dlsym(RTLD_DEFAULT, "umemcg_oom_callback");
  if (set == NULL) return -1;
  cache = touched((size_t)mib * kMiB);
  return set(make_room, &cache);
}

static void at_exit(void) { answer("handler", take(64)); }

static void* wait_for_ever(void* unused) {
  for (;;) pause();
  return unused;
}
static void* outlive_main(void* unused) {
  usleep(100000);
  answer("alone", take(64));
  _exit(0);
  return unused;
}

/* By a return from main (0), exit (1), a return beside another thread (2), exit
 * in a child (3); or main ends, and another thread goes on (4). */
static int end(long how) {
  pthread_t thread;
  if (how < 4) atexit(at_exit);
  if (how == 1) exit(0);
  if (how == 2) pthread_create(&thread, NULL, wait_for_ever, NULL);
  if (how == 3) {
    const pid_t child = fork();
    if (child == 0) exit(0);
    int status = -1;
    waitpid(child, &status, 0);
    _exit(status == 0 ? 0 : 1);
  }
  if (how == 4) {
    pthread_create(&thread, NULL, outlive_main, NULL);
    pthread_exit(NULL);
  }
  return 0;
}

int main(void) {
  char word[32];
  long first, second;
  setvbuf(stdin, malloc(256), _IOLBF, 256);
  while (scanf("%31s %ld %ld", word, &first, &second) == 3) {
    if (strcmp(word, "take") == 0) answer("took", take(first));
    if (strcmp(word, "drop") == 0) drop(first), answer("dropped", first);
    if (strcmp(word, "one") == 0) {
      answer("one", one((void*)(first * kMiB)) != NULL);
    }
    if (strcmp(word, "threads") == 0) answer("threads", threads(first, second));
    if (strcmp(word, "spare") == 0) answer("spare", spare());
    if (strcmp(word, "cache") == 0) answer("cache", with_cache(first));
    if (strcmp(word, "calls") == 0) answer("calls", calls);
    if (strcmp(word, "exit") == 0) return end(first);
  }
  return 0;
}
