/* A C program that runs with or without umemcg: it gives its cache a group of
 * its own if there is one to be had, and goes on without if not.
 *
 *   cc plain.c $(pkg-config --cflags --libs umemcg-api)
 *   ./a.out                                    without
 *   LD_PRELOAD=/usr/local/lib/libumemcg.so ./a.out     with
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <umemcg/umemcg.h>

enum { kBlock = 64 * 1024, kMost = 1000 };

/* Fills the cache with blocks until it has kMost, or is refused. */
static int fill(void* cache[kMost]) {
  int count = 0;
  while (count < kMost && (cache[count] = malloc(kBlock)) != NULL) {
    memset(cache[count++], 1, kBlock);
  }
  return count;
}

int main(void) {
  static void* cache[kMost];
  int count;
  /* [readme] */
  umemcg_group* group = umemcg_group_open("/cache", UMEMCG_CREATE);
  if (group != NULL) {
    umemcg_set(group, "memory.max", "16M");
    umemcg_thread_set(group, NULL); /* what follows is charged to /cache */
  } else {
    printf("without a limit: %s\n", strerror(errno)); /* ENOSYS: no umemcg */
  }
  /* [/readme] */
  count = fill(cache);
  umemcg_thread_set(NULL, NULL);

  if (group != NULL) {
    char value[32] = "";
    umemcg_get(group, "memory.current", value, sizeof(value));
    printf("memory.current of /cache: %s", value);
  }
  printf("%s after %d blocks of 64 KiB\n",
         count < kMost ? "refused" : "not refused", count);
  while (count > 0) free(cache[--count]);
  umemcg_group_close(group);
  return 0;
}
