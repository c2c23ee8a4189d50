// mimalloc as umemcg runs it: its options, the ranges, the callback between a
// refused page and the second try, errors.
//
//   malloc -> mi_malloc -> (no free block) -> commit hook refuses
//     mi_theap_collect(force) -> deferred free -> the record is armed:
//       g_charge_slow_hook (reclaim/) wins a reservation, or counts the failure
//     second try -> commit hook takes the reservation, or refuses
//       error callback: errno = ENOMEM, the record is disarmed
#pragma once

#include <cstddef>

namespace umemcg {

enum class AllocatorStart {
  kAccounted,
  kNoRange,     // no address space for a range
  kNotInRange,  // a block does not lie in our range: something voids our
                // options, and nothing would be charged
};

// From now on a failed allocation leaves ENOMEM in errno, whatever it was
// (mimalloc by itself sets it only if it was 0). Accounted or not.
void report_errors();

// Takes mimalloc over, before its first allocation.
// REQUIRES: the accounts are set (stock/current.h).
AllocatorStart start_allocator();

// The calling thread's records, charged to the root group rather than to the
// group that the thread works for.
void prime_thread();

// Calls `probe`, charging what it allocates to the root group, and gives back
// what it freed: a group that never allocated reads 0.
bool as_records(bool (*probe)());

// Gives the calling thread's free pages back, as far as its heaps know them.
void collect_thread();

// malloc_trim: gives back all that is free, in this thread's heaps and in the
// cache of the process. The bytes given back.
size_t trim_allocator();

// Work that waits for a slow path: decay, the next range.
void allocator_housekeeping();

}  // namespace umemcg
