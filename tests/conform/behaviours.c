// What takes more than one call: contents, uniqueness, errno, the functions
// that glibc 2.36 lacks, and the ones that only report.

#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/conform/conform.h"

#define MIB ((size_t)1 << 20)

static void ZeroSizeIsUnique(void) {
  void* blocks[100];
  for (size_t i = 0; i < 100; i++) {
    blocks[i] = i % 2 == 0 ? malloc(0) : calloc(0, 0);
    EXPECT(blocks[i] != NULL);
    for (size_t j = 0; j < i; j++) EXPECT(blocks[i] != blocks[j]);
  }
  for (size_t i = 0; i < 100; i++) free(blocks[i]);
}

// Either NULL comes back and the block is gone, or a new block of size 0.
// Repeated often enough that a leak of the old block would show.
static void ReallocToZeroFrees(void) {
  for (int i = 0; i < 1000; i++) {
    void* old = malloc(MIB);
    EXPECT(old != NULL);
    errno = 0;
    void* block = realloc(old, 0);
    EXPECT(errno != ENOMEM);
    free(block);
  }
}

static void ReallocKeepsContents(void) {
  static const size_t kSizes[] = {1,    16,    100,     1000,   5000, 70000,
                                  1000, 70000, 5 * MIB, 300000, 40,   3};
  size_t size = 1;
  char* block = malloc(size);
  EXPECT(block != NULL);
  FillPattern(block, size, 7);
  for (size_t i = 0; i < sizeof(kSizes) / sizeof(kSizes[0]); i++) {
    char* moved = realloc(block, kSizes[i]);
    EXPECT(moved != NULL);
    if (moved == NULL) break;
    block = moved;
    EXPECT(HasPattern(block, size < kSizes[i] ? size : kSizes[i], 7));
    size = kSizes[i];
    FillPattern(block, size, 7);
  }
  free(block);
}

// realloc of an aligned block keeps the contents (the alignment may go).
static void ReallocOfAligned(void) {
  char* block = NULL;
  EXPECT(posix_memalign((void**)&block, 4096, 10000) == 0);
  FillPattern(block, 10000, 9);
  char* moved = realloc(block, 500000);
  EXPECT(moved != NULL);
  if (moved == NULL) return free(block);
  EXPECT(HasPattern(moved, 10000, 9));
  free(moved);
}

// Recycled memory must be cleared as well as fresh memory.
static void CallocClearsRecycled(void) {
  static const size_t kSizes[] = {8, 24, 100, 1000, 5000, 70000, 3 * MIB};
  for (size_t i = 0; i < sizeof(kSizes) / sizeof(kSizes[0]); i++) {
    for (int round = 0; round < 20; round++) {
      char* dirty = malloc(kSizes[i]);
      EXPECT(dirty != NULL);
      if (dirty == NULL) return;
      memset(dirty, 0xff, malloc_usable_size(dirty));
      free(dirty);
      char* clean = calloc(1, kSizes[i]);
      EXPECT(clean != NULL && IsZero(clean, kSizes[i]));
      free(clean);
    }
  }
}

static void FreeKeepsErrno(void) {
  static const size_t kSizes[] = {1, 5000, 200000, 5 * MIB, 300 * MIB};
  for (size_t i = 0; i < sizeof(kSizes) / sizeof(kSizes[0]); i++) {
    void* block = malloc(kSizes[i]);
    EXPECT(block != NULL);
    errno = 4711;
    free(block);
    EXPECT(errno == 4711);
  }
  errno = 4711;
  free(NULL);
  EXPECT(errno == 4711);
}

static void SuccessKeepsErrno(void) {
  for (size_t size = 1; size <= 8 * MIB; size = size * 3 + 1) {
    errno = 4711;
    void* block = malloc(size);
    void* cleared = calloc(1, size);
    block = realloc(block, size * 2);
    EXPECT(block != NULL && cleared != NULL);
    EXPECT(errno == 4711);
    free(block);
    free(cleared);
  }
}

static void UsableSize(void) {
  EXPECT(malloc_usable_size(NULL) == 0);
  for (size_t size = 1; size < 100000; size = size * 2 + 1) {
    char* block = malloc(size);
    EXPECT(block != NULL);
    if (block == NULL) return;
    size_t usable = malloc_usable_size(block);
    EXPECT(usable >= size);
    // All of it survives a realloc that asks for just that.
    FillPattern(block, usable, 5);
    char* same = realloc(block, usable);
    EXPECT(same != NULL && HasPattern(same, usable, 5));
    free(same);
  }
}

// Blocks do not overlap, whatever mix of calls made them.
static void BlocksAreDisjoint(void) {
  enum { kCount = 300 };
  static unsigned char* blocks[kCount];
  static size_t sizes[kCount];
  for (unsigned i = 0; i < kCount; i++) {
    sizes[i] = 1 + (size_t)i * i % 9001;
    void* block = NULL;
    if (i % 4 == 0) block = malloc(sizes[i]);
    if (i % 4 == 1) block = calloc(sizes[i], 1);
    if (i % 4 == 2) block = aligned_alloc((size_t)16 << (i % 9), sizes[i]);
    if (i % 4 == 3) block = valloc(sizes[i]);
    EXPECT(block != NULL);
    if (block == NULL) return;
    blocks[i] = block;
    FillPattern(blocks[i], sizes[i], i);
  }
  for (unsigned i = 0; i < kCount; i++) {
    EXPECT(HasPattern(blocks[i], sizes[i], i));
    free(blocks[i]);
  }
}

// Blocks that libc makes are freed and resized by the program.
static void BlocksOfLibc(void) {
  char* copy = strdup("a string of libc's own making");
  EXPECT(copy != NULL && malloc_usable_size(copy) >= strlen(copy) + 1);
  copy = realloc(copy, 10000);
  EXPECT(copy != NULL && strcmp(copy, "a string of libc's own making") == 0);
  free(copy);

  char* text = NULL;
  EXPECT(asprintf(&text, "%0200d", 1) == 200);
  free(text);

  free(getcwd(NULL, 0));
  free(realpath("/", NULL));

  char* line = NULL;
  size_t room = 0;
  FILE* lines = fmemopen((char[]){"one\ntwo\n"}, 8, "r");
  EXPECT(lines != NULL);
  EXPECT(getline(&line, &room, lines) == 4);
  EXPECT(malloc_usable_size(line) >= room);
  free(line);
  EXPECT(fclose(lines) == 0);

  char* grown = NULL;
  size_t grown_size = 0;
  FILE* memory = open_memstream(&grown, &grown_size);
  EXPECT(memory != NULL);
  for (int i = 0; i < 10000; i++) fputs("0123456789", memory);
  EXPECT(fclose(memory) == 0);
  EXPECT(grown_size == 100000 && grown[99999] == '9');
  free(grown);
}

static const char kNoFreeSized[] = "no free_sized here (C23)";

static void FreeSized(void) {
  void (*free_sized)(void*, size_t) =
      (void (*)(void*, size_t))(uintptr_t)dlsym(RTLD_DEFAULT, "free_sized");
  if (free_sized == NULL) return SkipBehaviour(kNoFreeSized);
  errno = 4711;
  free_sized(NULL, 0);
  free_sized(malloc(0), 0);
  free_sized(malloc(100), 100);
  free_sized(calloc(10, 1000), 10000);
  free_sized(realloc(malloc(5), 5 * MIB), 5 * MIB);
  EXPECT(errno == 4711);
}

static void FreeAlignedSized(void) {
  void (*free_aligned_sized)(void*, size_t, size_t) =
      (void (*)(void*, size_t, size_t))(uintptr_t)dlsym(RTLD_DEFAULT,
                                                        "free_aligned_sized");
  if (free_aligned_sized == NULL) return SkipBehaviour(kNoFreeSized);
  errno = 4711;
  free_aligned_sized(NULL, 64, 0);
  free_aligned_sized(aligned_alloc(64, 128), 64, 128);
  free_aligned_sized(aligned_alloc(4096, 4096), 4096, 4096);
  free_aligned_sized(aligned_alloc(MIB, MIB), MIB, MIB);
  EXPECT(errno == 4711);
}

// malloc_trim: 0 or 1, whatever the pad, and live blocks stay as they are.
static void Trim(void) {
  char* live = malloc(200000);
  EXPECT(live != NULL);
  if (live == NULL) return;
  FillPattern(live, 200000, 1);
  free(malloc(20 * MIB));
  int released = malloc_trim(0);
  EXPECT(released == 0 || released == 1);
  released = malloc_trim(SIZE_MAX / 4);
  EXPECT(released == 0 || released == 1);
  EXPECT(HasPattern(live, 200000, 1));
  free(live);
}

// Truthful (the block is seen) or harmless (all is zero).
static void Mallinfo2(void) {
  void* block = malloc(8 * MIB);
  EXPECT(block != NULL);
  struct mallinfo2 info = mallinfo2();
  size_t sum = info.uordblks + info.hblkhd;
  EXPECT(sum == 0 || sum >= 8 * MIB);
  free(block);
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
static void Mallinfo(void) {
  void* block = malloc(8 * MIB);
  EXPECT(block != NULL);
  struct mallinfo info = mallinfo();
  int sum = info.uordblks + info.hblkhd;
  EXPECT(sum == 0 || sum >= (int)(8 * MIB));
  free(block);
}
#pragma GCC diagnostic pop

// Writes to stderr, or nothing; never to stdout, never aborts.
static void MallocStats(void) {
  fflush(stderr);
  int saved = dup(2);
  FILE* sink = tmpfile();
  EXPECT(sink != NULL && saved >= 0);
  if (sink == NULL || saved < 0) return;
  dup2(fileno(sink), 2);
  malloc_stats();
  fflush(stderr);
  dup2(saved, 2);
  close(saved);
  fclose(sink);
}

static void MallocInfo(void) {
  char* text = NULL;
  size_t size = 0;
  FILE* stream = open_memstream(&text, &size);
  EXPECT(stream != NULL);
  if (stream == NULL) return;
  EXPECT(malloc_info(0, stream) == 0);
  errno = 0;
  int refused = malloc_info(1, stream);  // the only option is 0
  EXPECT(refused == EINVAL || (refused == -1 && errno == EINVAL));
  EXPECT(fclose(stream) == 0);
  EXPECT(size > 0 && strncmp(text, "<malloc version=\"1\">", 20) == 0);
  EXPECT(strstr(text, "</malloc>") != NULL);
  free(text);
}

static void Mallopt(void) {
  static const int kNames[] = {M_MMAP_THRESHOLD, M_TRIM_THRESHOLD, M_TOP_PAD,
                               M_MMAP_MAX,       M_ARENA_MAX,      M_PERTURB};
  static const int kValues[] = {128 * 1024, 128 * 1024, 0, 65536, 8, 0};
  for (size_t i = 0; i < sizeof(kNames) / sizeof(kNames[0]); i++) {
    int done = mallopt(kNames[i], kValues[i]);
    EXPECT(done == 0 || done == 1);
  }
  void* block = malloc(1000);
  EXPECT(block != NULL);
  free(block);
}

const struct Behaviour kBehaviours[] = {
    {"malloc(0) and calloc(0, 0) are unique", ZeroSizeIsUnique},
    {"realloc(p, 0) frees", ReallocToZeroFrees},
    {"realloc keeps the contents", ReallocKeepsContents},
    {"realloc of an aligned block", ReallocOfAligned},
    {"calloc clears recycled memory", CallocClearsRecycled},
    {"free keeps errno", FreeKeepsErrno},
    {"success keeps errno", SuccessKeepsErrno},
    {"malloc_usable_size", UsableSize},
    {"blocks are disjoint", BlocksAreDisjoint},
    {"blocks made by libc", BlocksOfLibc},
    {"free_sized", FreeSized},
    {"free_aligned_sized", FreeAlignedSized},
    {"malloc_trim", Trim},
    {"mallinfo2", Mallinfo2},
    {"mallinfo", Mallinfo},
    {"malloc_stats", MallocStats},
    {"malloc_info", MallocInfo},
    {"mallopt", Mallopt},
};

const size_t kBehaviourCount = sizeof(kBehaviours) / sizeof(kBehaviours[0]);
