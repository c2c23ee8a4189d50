// The shared half of the malloc conformance test: how one call is described,
// made and judged. Plain C11 and no test library, so that the very same
// program runs on glibc's allocator and on ours.
//
// What is asked is what glibc does, except where the standards leave a choice:
// there a row accepts every legal answer.

#ifndef UMEMCG_TESTS_CONFORM_CONFORM_H_
#define UMEMCG_TESTS_CONFORM_CONFORM_H_

#include <stdbool.h>
#include <stddef.h>

// Sizes that no allocator can serve.
#define SIZE_HUGE (SIZE_MAX / 2)      // PTRDIFF_MAX: the largest legal size
#define SIZE_OVER (SIZE_MAX / 2 + 1)  // over PTRDIFF_MAX
#define SIZE_WRAP (SIZE_MAX - 8)      // wraps when a header is added
#define SIZE_ROOT ((size_t)1 << 32)   // squared, it wraps to 0

enum Call {
  kMalloc,            // malloc(a)
  kCalloc,            // calloc(a, b)
  kRealloc,           // realloc(malloc(a), b)
  kReallocNull,       // realloc(NULL, a)
  kReallocArray,      // reallocarray(malloc(16), a, b)
  kReallocArrayNull,  // reallocarray(NULL, a, b)
  kPosixMemalign,     // posix_memalign(&p, a, b)
  kAlignedAlloc,      // aligned_alloc(a, b)
  kMemalign,          // memalign(a, b)
  kValloc,            // valloc(a)
  kPvalloc,           // pvalloc(a)
  kCalls,
};

enum Want {
  kBlock,        // a block that can be written and freed
  kNull,         // NULL and the row's errno
  kNullOrBlock,  // either of the two: the standards allow both
};

struct Row {
  enum Call call;
  size_t a;
  size_t b;
  enum Want want;
  int error;          // of the refusal
  size_t align;       // the block's address is a multiple of this
  size_t usable;      // malloc_usable_size is at least this
  const char* glibc;  // not NULL: glibc differs, SKIP there and say this
};

extern const struct Row kRows[];
extern const size_t kRowCount;

// A behaviour that takes more than one call; reports through Expect.
struct Behaviour {
  const char* name;
  void (*run)(void);
};

extern const struct Behaviour kBehaviours[];
extern const size_t kBehaviourCount;

// Notes a failed expectation of the row or behaviour that runs.
void ExpectAt(bool ok, const char* file, int line, const char* text);
#define EXPECT(condition) ExpectAt((condition), __FILE__, __LINE__, #condition)

// Says that the running behaviour cannot be tested here, and why.
void SkipBehaviour(const char* why);

// Makes the row's call, with errno preset, and judges what came back.
void RunRow(const struct Row* row, int preset_errno);

const char* CallName(enum Call call);

// The address as a number, its alignment, and a pattern to recognise bytes by.
bool IsAligned(const void* block, size_t align);
void FillPattern(void* block, size_t size, unsigned seed);
bool HasPattern(const void* block, size_t size, unsigned seed);
bool IsZero(const void* block, size_t size);

#endif  // UMEMCG_TESTS_CONFORM_CONFORM_H_
