// Makes the call of one row and judges what came back.

#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tests/conform/conform.h"

// What posix_memalign's pointer holds before the call.
static char untouched;

struct Made {
  void* block;
  int error;  // what the call reported: its result, else errno
  int after;  // errno after the call
  bool failed;
};

const char* CallName(enum Call call) {
  static const char* const kNames[kCalls] = {
      [kMalloc] = "malloc",
      [kCalloc] = "calloc",
      [kRealloc] = "realloc",
      [kReallocNull] = "realloc(NULL)",
      [kReallocArray] = "reallocarray",
      [kReallocArrayNull] = "reallocarray(NULL)",
      [kPosixMemalign] = "posix_memalign",
      [kAlignedAlloc] = "aligned_alloc",
      [kMemalign] = "memalign",
      [kValloc] = "valloc",
      [kPvalloc] = "pvalloc",
  };
  return kNames[call];
}

bool IsAligned(const void* block, size_t align) {
  return align == 0 || (uintptr_t)block % align == 0;
}

void FillPattern(void* block, size_t size, unsigned seed) {
  unsigned char* bytes = block;
  for (size_t i = 0; i < size; i++) bytes[i] = (unsigned char)(i * 31 + seed);
}

bool HasPattern(const void* block, size_t size, unsigned seed) {
  const unsigned char* bytes = block;
  for (size_t i = 0; i < size; i++) {
    if (bytes[i] != (unsigned char)(i * 31 + seed)) return false;
  }
  return true;
}

bool IsZero(const void* block, size_t size) {
  const unsigned char* bytes = block;
  for (size_t i = 0; i < size; i++) {
    if (bytes[i] != 0) return false;
  }
  return true;
}

// The sizes are volatile, or the compiler refuses or folds the impossible ones.
static void* Invoke(const struct Row* row, void* old, int* result) {
  volatile size_t a = row->a;
  volatile size_t b = row->b;
  void* block = &untouched;
  switch (row->call) {
    case kMalloc:
      return malloc(a);
    case kCalloc:
      return calloc(a, b);
    case kRealloc:
      return realloc(old, b);
    case kReallocNull:
      return realloc(NULL, a);
    case kReallocArray:
      return reallocarray(old, a, b);
    case kReallocArrayNull:
      return reallocarray(NULL, a, b);
    case kPosixMemalign:
      *result = posix_memalign(&block, a, b);
      return block;
    case kAlignedAlloc:
      return aligned_alloc(a, b);
    case kMemalign:
      return memalign(a, b);
    case kValloc:
      return valloc(a);
    case kPvalloc:
      return pvalloc(a);
    case kCalls:
      break;
  }
  return NULL;
}

static struct Made Make(const struct Row* row, void* old, int preset_errno) {
  struct Made made = {NULL, 0, 0, false};
  int result = 0;
  errno = preset_errno;
  made.block = Invoke(row, old, &result);
  made.after = errno;
  if (row->call == kPosixMemalign) {
    made.failed = result != 0;
    made.error = result;
  } else {
    made.failed = made.block == NULL;
    made.error = made.failed ? made.after : 0;
  }
  return made;
}

static void JudgeRefusal(const struct Row* row, const struct Made* made,
                         int preset_errno) {
  EXPECT(made->error == row->error);
  if (row->call != kPosixMemalign) return;
  EXPECT(made->block == &untouched);
  EXPECT(made->after == preset_errno);
}

// The size that the program asked for, and so may write.
static size_t Asked(const struct Row* row) {
  switch (row->call) {
    case kMalloc:
    case kReallocNull:
    case kValloc:
    case kPvalloc:
      return row->a;
    case kCalloc:
    case kReallocArray:
    case kReallocArrayNull:
      return row->a * row->b;
    default:
      return row->b;
  }
}

static void JudgeBlock(const struct Row* row, const struct Made* made) {
  size_t size = Asked(row);
  EXPECT(IsAligned(made->block, row->align));
  EXPECT(malloc_usable_size(made->block) >= row->usable);
  EXPECT(malloc_usable_size(made->block) >= size);
  if (row->call == kCalloc) EXPECT(IsZero(made->block, size));
  // The usable size is writable to its last byte. (Only the ends of a very
  // large block: the test is to be light.)
  size_t usable = malloc_usable_size(made->block);
  if (usable == 0) return;
  unsigned char* bytes = made->block;
  if (usable <= ((size_t)64 << 20)) memset(bytes, 0x5a, usable);
  bytes[0] = 1;
  bytes[usable - 1] = 2;
}

static bool TakesOld(const struct Row* row) {
  return row->call == kRealloc || row->call == kReallocArray;
}

void RunRow(const struct Row* row, int preset_errno) {
  size_t old_size = row->call == kRealloc ? row->a : 16;
  void* old = NULL;
  if (TakesOld(row)) {
    old = malloc(old_size);
    EXPECT(old != NULL);
    if (old == NULL) return;
    FillPattern(old, old_size, 3);
  }
  struct Made made = Make(row, old, preset_errno);
  if (row->want == kNull) EXPECT(made.failed);
  if (row->want == kBlock) EXPECT(!made.failed);
  if (made.failed) {
    JudgeRefusal(row, &made, preset_errno);
    // A refused realloc leaves the old block as it was.
    if (old != NULL) EXPECT(HasPattern(old, old_size, 3));
    free(old);
    return;
  }
  if (made.block == NULL || made.block == &untouched) {
    // posix_memalign of size 0 may say success and give NULL.
    EXPECT(made.block == NULL && row->want == kNullOrBlock);
    return;
  }
  if (old != NULL) {
    size_t size = Asked(row);
    EXPECT(HasPattern(made.block, size < old_size ? size : old_size, 3));
  }
  JudgeBlock(row, &made);
  errno = preset_errno;
  free(made.block);
  EXPECT(errno == preset_errno);
}
