// The table: one call a row, and what must come back.

#include <errno.h>
#include <stdint.h>

#include "tests/conform/conform.h"

#define PAGE ((size_t)4096)
#define MIB ((size_t)1 << 20)

static const char kRounds[] = "glibc 2.36 rounds a bad alignment up";
static const char kSetsErrno[] = "glibc sets errno in posix_memalign";

#define OK(align, usable) kBlock, 0, (align), (usable)
#define NO(error) kNull, (error), 0, 0
#define EITHER(error) kNullOrBlock, (error), 1, 0

const struct Row kRows[] = {
    // malloc: 0 gives a unique block; 16-byte alignment from 16 bytes on
    // (a smaller block needs no more than its size).
    {kMalloc, 0, 0, OK(1, 0), NULL},
    {kMalloc, 1, 0, OK(1, 1), NULL},
    {kMalloc, 2, 0, OK(2, 2), NULL},
    {kMalloc, 7, 0, OK(4, 7), NULL},
    {kMalloc, 8, 0, OK(8, 8), NULL},
    {kMalloc, 15, 0, OK(8, 15), NULL},
    {kMalloc, 16, 0, OK(16, 16), NULL},
    {kMalloc, 17, 0, OK(16, 17), NULL},
    {kMalloc, 24, 0, OK(16, 24), NULL},
    {kMalloc, 48, 0, OK(16, 48), NULL},
    {kMalloc, 1000, 0, OK(16, 1000), NULL},
    {kMalloc, PAGE - 1, 0, OK(16, PAGE - 1), NULL},
    {kMalloc, PAGE, 0, OK(16, PAGE), NULL},
    {kMalloc, PAGE + 1, 0, OK(16, PAGE + 1), NULL},
    {kMalloc, 128 * 1024, 0, OK(16, 128 * 1024), NULL},
    {kMalloc, MIB, 0, OK(16, MIB), NULL},
    {kMalloc, 33 * MIB + 1, 0, OK(16, 33 * MIB + 1), NULL},
    {kMalloc, 300 * MIB, 0, OK(16, 300 * MIB), NULL},
    {kMalloc, SIZE_HUGE, 0, NO(ENOMEM), NULL},
    {kMalloc, SIZE_OVER, 0, NO(ENOMEM), NULL},
    {kMalloc, SIZE_WRAP, 0, NO(ENOMEM), NULL},
    {kMalloc, SIZE_MAX, 0, NO(ENOMEM), NULL},

    // calloc: the product decides; overflow is ENOMEM.
    {kCalloc, 0, 0, OK(1, 0), NULL},
    {kCalloc, 0, 8, OK(1, 0), NULL},
    {kCalloc, 8, 0, OK(1, 0), NULL},
    {kCalloc, 0, SIZE_MAX, OK(1, 0), NULL},
    {kCalloc, SIZE_MAX, 0, OK(1, 0), NULL},
    {kCalloc, 1, 1, OK(1, 1), NULL},
    {kCalloc, 3, 5, OK(8, 15), NULL},
    {kCalloc, 100, 100, OK(16, 10000), NULL},
    {kCalloc, 1, MIB, OK(16, MIB), NULL},
    {kCalloc, MIB, 5, OK(16, 5 * MIB), NULL},
    {kCalloc, 2, SIZE_OVER, NO(ENOMEM), NULL},
    {kCalloc, SIZE_ROOT, SIZE_ROOT, NO(ENOMEM), NULL},
    {kCalloc, SIZE_ROOT + 1, SIZE_ROOT, NO(ENOMEM), NULL},
    {kCalloc, SIZE_MAX, SIZE_MAX, NO(ENOMEM), NULL},
    {kCalloc, 1, SIZE_MAX, NO(ENOMEM), NULL},
    {kCalloc, SIZE_OVER, 1, NO(ENOMEM), NULL},

    // realloc: NULL is malloc; size 0 frees, and may return a new block.
    {kReallocNull, 0, 0, OK(1, 0), NULL},
    {kReallocNull, 100, 0, OK(16, 100), NULL},
    {kReallocNull, SIZE_MAX, 0, NO(ENOMEM), NULL},
    {kRealloc, 1, 1, OK(1, 1), NULL},
    {kRealloc, 16, 32, OK(16, 32), NULL},
    {kRealloc, 100, 10, OK(8, 10), NULL},
    {kRealloc, 100, 100000, OK(16, 100000), NULL},
    {kRealloc, 100000, 100, OK(16, 100), NULL},
    {kRealloc, MIB, 3 * MIB, OK(16, 3 * MIB), NULL},
    {kRealloc, 3 * MIB, PAGE, OK(16, PAGE), NULL},
    {kRealloc, 100, SIZE_HUGE, NO(ENOMEM), NULL},
    {kRealloc, 100, SIZE_OVER, NO(ENOMEM), NULL},
    {kRealloc, 100, SIZE_WRAP, NO(ENOMEM), NULL},
    {kRealloc, MIB, SIZE_MAX, NO(ENOMEM), NULL},

    // reallocarray: as realloc, with calloc's overflow.
    {kReallocArrayNull, 10, 10, OK(16, 100), NULL},
    {kReallocArrayNull, SIZE_ROOT, SIZE_ROOT, NO(ENOMEM), NULL},
    {kReallocArray, 1, 16, OK(16, 16), NULL},
    {kReallocArray, 1000, 1000, OK(16, 1000000), NULL},
    {kReallocArray, 2, SIZE_OVER, NO(ENOMEM), NULL},
    {kReallocArray, SIZE_ROOT, SIZE_ROOT, NO(ENOMEM), NULL},
    {kReallocArray, SIZE_MAX, SIZE_MAX, NO(ENOMEM), NULL},
    {kReallocArray, 1, SIZE_OVER, NO(ENOMEM), NULL},

    // posix_memalign: returns the error and leaves errno and *p alone.
    {kPosixMemalign, 8, 0, EITHER(0), NULL},
    {kPosixMemalign, 8, 8, OK(8, 8), NULL},
    {kPosixMemalign, 16, 100, OK(16, 100), NULL},
    {kPosixMemalign, 32, 1, OK(32, 1), NULL},
    {kPosixMemalign, 64, 64, OK(64, 64), NULL},
    {kPosixMemalign, 64, 1000, OK(64, 1000), NULL},
    {kPosixMemalign, 4096, 1, OK(4096, 1), NULL},
    {kPosixMemalign, 4096, 100000, OK(4096, 100000), NULL},
    {kPosixMemalign, 65536, 100, OK(65536, 100), NULL},
    {kPosixMemalign, 128 * 1024, 5000, OK(128 * 1024, 5000), NULL},
    {kPosixMemalign, 2 * MIB, 3 * MIB, OK(2 * MIB, 3 * MIB), NULL},
    {kPosixMemalign, 32 * MIB, 1, OK(32 * MIB, 1), NULL},
    {kPosixMemalign, 0, 100, NO(EINVAL), NULL},
    {kPosixMemalign, 1, 100, NO(EINVAL), NULL},
    {kPosixMemalign, 2, 100, NO(EINVAL), NULL},
    {kPosixMemalign, 4, 100, NO(EINVAL), NULL},
    {kPosixMemalign, 3, 100, NO(EINVAL), NULL},
    {kPosixMemalign, 24, 100, NO(EINVAL), NULL},
    {kPosixMemalign, 4097, 100, NO(EINVAL), NULL},
    {kPosixMemalign, SIZE_MAX, 100, NO(EINVAL), NULL},
    {kPosixMemalign, 24, SIZE_MAX, NO(EINVAL), NULL},
    {kPosixMemalign, 16, SIZE_OVER, NO(ENOMEM), kSetsErrno},
    {kPosixMemalign, 64, SIZE_HUGE, NO(ENOMEM), kSetsErrno},
    {kPosixMemalign, 4096, SIZE_MAX, NO(ENOMEM), kSetsErrno},
    {kPosixMemalign, SIZE_OVER, 100, NO(ENOMEM), kSetsErrno},

    // aligned_alloc: an alignment that is no power of two is EINVAL.
    {kAlignedAlloc, 1, 10, OK(1, 10), NULL},
    {kAlignedAlloc, 8, 8, OK(8, 8), NULL},
    {kAlignedAlloc, 16, 160, OK(16, 160), NULL},
    {kAlignedAlloc, 64, 0, EITHER(0), NULL},
    {kAlignedAlloc, 64, 128, OK(64, 128), NULL},
    {kAlignedAlloc, 64, 100, OK(64, 100), NULL},
    {kAlignedAlloc, 4096, 4096, OK(4096, 4096), NULL},
    {kAlignedAlloc, 128 * 1024, 128 * 1024, OK(128 * 1024, 128 * 1024), NULL},
    {kAlignedAlloc, MIB, 8 * MIB, OK(MIB, 8 * MIB), NULL},
    {kAlignedAlloc, 0, 100, NO(EINVAL), kRounds},
    {kAlignedAlloc, 3, 99, NO(EINVAL), kRounds},
    {kAlignedAlloc, 48, 96, NO(EINVAL), kRounds},
    {kAlignedAlloc, 64, SIZE_OVER, NO(ENOMEM), NULL},
    {kAlignedAlloc, 4096, SIZE_HUGE, NO(ENOMEM), NULL},
    {kAlignedAlloc, 64, SIZE_MAX, NO(ENOMEM), NULL},

    // memalign: the old name; a bad alignment is rounded up or EINVAL.
    {kMemalign, 8, 1, OK(8, 1), NULL},
    {kMemalign, 16, 0, OK(16, 0), NULL},
    {kMemalign, 256, 300, OK(256, 300), NULL},
    {kMemalign, 4096, 10, OK(4096, 10), NULL},
    {kMemalign, 256 * 1024, MIB, OK(256 * 1024, MIB), NULL},
    {kMemalign, 3, 100, EITHER(EINVAL), NULL},
    {kMemalign, 48, 100, EITHER(EINVAL), NULL},
    {kMemalign, SIZE_MAX, 100, NO(EINVAL), NULL},
    {kMemalign, 64, SIZE_OVER, NO(ENOMEM), NULL},
    {kMemalign, 64, SIZE_MAX, NO(ENOMEM), NULL},

    // valloc, pvalloc: page aligned; pvalloc rounds the size up as well.
    {kValloc, 0, 0, OK(1, 0), NULL},
    {kValloc, 1, 0, OK(PAGE, 1), NULL},
    {kValloc, PAGE, 0, OK(PAGE, PAGE), NULL},
    {kValloc, MIB + 1, 0, OK(PAGE, MIB + 1), NULL},
    {kValloc, SIZE_OVER, 0, NO(ENOMEM), NULL},
    {kValloc, SIZE_MAX, 0, NO(ENOMEM), NULL},
    {kPvalloc, 0, 0, OK(1, 0), NULL},
    {kPvalloc, 1, 0, OK(PAGE, PAGE), NULL},
    {kPvalloc, PAGE, 0, OK(PAGE, PAGE), NULL},
    {kPvalloc, PAGE + 1, 0, OK(PAGE, 2 * PAGE), NULL},
    {kPvalloc, SIZE_OVER, 0, NO(ENOMEM), NULL},
    {kPvalloc, SIZE_MAX, 0, NO(ENOMEM), NULL},
    {kPvalloc, SIZE_MAX - PAGE + 2, 0, NO(ENOMEM), NULL},
};

const size_t kRowCount = sizeof(kRows) / sizeof(kRows[0]);
