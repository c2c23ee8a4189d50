/* churn WANT_MIB SECONDS SEED [HEARTBEAT]: allocates and frees blocks of all
 * sizes at random, up to WANT_MIB at once, and bears a NULL. What is in the
 * blocks must stay there. The 64-bit number at the start of the file HEARTBEAT
 * goes up as long as it lives. SECONDS 0: until it is killed. */

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { kBlocks = 4096, kMiB = 1 << 20 };

static unsigned char* blocks[kBlocks];
static size_t sizes[kBlocks];
static size_t held, most;
static uint64_t refusals;

static uint64_t random_state;
static uint64_t next_random(void) {
  random_state = random_state * 6364136223846793005u + 1442695040888963407u;
  return random_state >> 33;
}

static void drop(size_t i) {
  if (blocks[i] == NULL) return;
  const unsigned char mark = (unsigned char)(i + sizes[i]);
  if (blocks[i][0] != mark || blocks[i][sizes[i] - 1] != mark) {
    puts("a block has changed");
    exit(3);
  }
  free(blocks[i]);
  blocks[i] = NULL;
  held -= sizes[i];
}

static void take(size_t i, size_t want) {
  drop(i);
  size_t size = 16 + next_random() % 2048;
  if (next_random() % 4 == 0) size = 4096 + next_random() % 300000;
  if (held + size > want) return;
  blocks[i] = malloc(size);
  if (blocks[i] == NULL) {
    ++refusals;
    for (int n = 0; n < 8; ++n) drop(next_random() % kBlocks);
    return;
  }
  sizes[i] = size;
  memset(blocks[i], (int)(unsigned char)(i + size), size);
  held += size;
  if (held > most) most = held;
}

static volatile uint64_t* heart(const char* path) {
  static uint64_t own;
  if (path == NULL) return &own;
  int fd = open(path, O_RDWR);
  void* page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (page == MAP_FAILED) exit(2);
  close(fd);
  return page;
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

int main(int argc, char** argv) {
  if (argc < 4) return 64;
  const size_t want = (size_t)atol(argv[1]) * kMiB;
  const double end = now() + atof(argv[2]);
  const int for_ever = atof(argv[2]) == 0;
  random_state = (uint64_t)atoll(argv[3]);
  volatile uint64_t* beat = heart(argc > 4 ? argv[4] : NULL);
  while (for_ever || now() < end) {
    for (int n = 0; n < 64; ++n) {
      /* Mostly full, and now and then all anew. */
      take(next_random() % kBlocks, want);
    }
    if (next_random() % 4096 == 0) {
      for (size_t i = 0; i < kBlocks; ++i) drop(i);
    }
    ++*beat;
  }
  printf("most %zu refusals %llu rounds %llu\n", most,
         (unsigned long long)refusals, (unsigned long long)*beat);
  return 0;
}
