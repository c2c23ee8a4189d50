/* Under UMEMCG_FAIL=charge:every=2 every other charge fails: cleanly, and
 * nothing is lost. (A program of its own: what C++ and gtest allocate would
 * fail too.) */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <umemcg/umemcg.h>

enum { kMiB = 1 << 20, kBlocks = 64 };

#define CHECK(condition)                                      \
  do {                                                        \
    if (!(condition)) {                                       \
      fprintf(stderr, "line %d: %s\n", __LINE__, #condition); \
      return 1;                                               \
    }                                                         \
  } while (0)

static long long number(umemcg_group* group, const char* file) {
  char text[64] = "-1";
  umemcg_get(group, file, text, sizeof(text));
  return atoll(text);
}

static int charges(umemcg_group* group) {
  int failed = 0;
  for (int i = 0; i < 100; ++i) {
    failed += umemcg_charge(group, UMEMCG_MMAP, kMiB, 0) != 0;
  }
  CHECK(failed == 50);
  CHECK(number(group, "memory.current") == 50LL * kMiB);
  umemcg_uncharge(group, UMEMCG_MMAP, 50 * (size_t)kMiB);
  CHECK(number(group, "memory.current") == 0);
  return 0;
}

static int mallocs(void) {
  static void* blocks[kBlocks];
  int got = 0, failed = 0;
  for (int i = 0; i < kBlocks; ++i) {
    errno = 0;
    void* block = malloc(kMiB);
    if (block != NULL) {
      memset(block, 1, kMiB);
      blocks[got++] = block;
    } else {
      CHECK(errno == ENOMEM);
      ++failed;
    }
  }
  CHECK(failed >= 16);
  CHECK(got >= 16);
  while (got > 0) free(blocks[--got]);
  return 0;
}

int main(void) {
  setvbuf(stderr, NULL, _IONBF, 0);
  umemcg_group* group = NULL;
  for (int i = 0; i < 4 && group == NULL; ++i) {
    group = umemcg_group_open("/fail", UMEMCG_CREATE);
  }
  CHECK(group != NULL);
  char events[256];
  CHECK(charges(group) == 0);
  CHECK(umemcg_get(group, "memory.events", events, sizeof(events)) > 0);
  CHECK(strstr(events, "max 0\n") != NULL); /* no limit was hit */
  CHECK(strstr(events, "oom 0\n") != NULL);
  return mallocs();
}
