// The address ranges given to mimalloc, which it fills with its arenas. They
// grow geometrically (mimalloc knows at most 160), and the next one is added
// before the last is full.
//
// Strict mode (overcommit_memory 2, or a data size limit) maps ranges without
// access and opens pages as they are committed, so that the system counts only
// what is in use; it may then refuse a commit, which is a failed charge.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/units.h"

namespace umemcg {

// Decides the mode from the system's settings and adds the first range. False
// if no range could be had.
bool init_ranges();

// Adds a range if the last one runs low, or if `needed` bytes in one piece
// were not to be had; false if none could be. Not from the commit hook.
bool extend_ranges(size_t needed);

// Whether the address lies in a range.
bool in_range(const void* address);

// Whether the last range runs low.
bool ranges_low();

// Whether ranges can still be added: if not, mimalloc may map memory itself.
bool ranges_exhausted();

bool strict_mode();

// In the child of a fork: whoever was adding a range is not here.
void reset_range_lock();

// A block of this size or more never fits a range (mimalloc's own bound lies
// at 219.9 MiB): mimalloc maps it itself.
inline constexpr size_t kRangeObjectMax = 219 * kMiB;

}  // namespace umemcg
