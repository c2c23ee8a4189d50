// Commit and decommit: where pages are charged. This is what mimalloc's commit
// hook, and the interposed calls that mimalloc makes itself, come down to.
//
// A charge has two steps, as in the kernel: try_charge, then commit (owner and
// state are written) or cancel (the system refused the memory). Both functions
// may be called from any thread, but for one range by one thread at a time:
// mimalloc's own claim on the memory sees to that. They allocate nothing and
// call nothing back.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/hook.h"

namespace umemcg {

// Makes [start, start + size) usable, charged to the calling thread's account
// as far as it is not charged yet. False, with the record armed
// (stock/charge.h), when a limit refuses; false when the system does. errno is
// kept: the allocation may yet succeed. *is_zero (may be null) says whether all
// of it is known to be zero.
bool commit_pages(uintptr_t start, size_t size, bool* is_zero);

// Called when pages were charged after the tree has changed, and until the
// thread has looked at that (alloc/attention.h).
extern constinit Hook<void()> g_tree_changed_hook;

// mimalloc has no more use for it: its pages are cached from now on.
void decommit_pages(uintptr_t start, size_t size);

// Memory that goes back to the system as a whole (munmap): uncharged.
void release_pages(uintptr_t start, size_t size);

// What commit does beside charging (strict mode of range.h: mprotect).
void set_commit_protects(bool on);

}  // namespace umemcg
