// Cached pages: free, resident, still charged. Each account keeps a stack of
// the slices that have some, so that giving pages back never scans the page
// table.
// A purge in progress is counted, so that a charge that fails meanwhile knows
// that pages are on their way. The stacks themselves: alloc/cached_stack.h.
#pragma once

#include <cstdint>

#include "accounting/account.h"
#include "alloc/page_table.h"

namespace umemcg {

enum class PurgeReason { kReclaim, kDecay, kTrim };

// Gives back at least `goal` cached pages of the account, if it has as many,
// and uncharges them. The pages given back.
int64_t purge_cached(Account& account, int64_t goal, PurgeReason reason);

// The same over this process's accounts in the subtree of `group`; a reclaim
// leaves groups below it what their memory.min and memory.low protect.
int64_t purge_cached_subtree(uint32_t group, int64_t goal, PurgeReason reason);

// Before purges of single accounts whose failure wait_for_others() is to
// explain.
void begin_purges();

// Gives back what has been cached for more than a second; looks at most once a
// tenth of a second. The pages given back.
int64_t decay_cached();

// Keeps this process's cache small under a limit that it shares with others
// (LD_PRELOAD.md, "Cached memory"). Called after pages were cached.
void trim_shared_cache(Account& account);

// A slice in one account's stack now belongs to another: it is moved to that
// one's stack when either is looked through.
void note_misplaced();
// Does that now, if there are some.
void sort_misplaced();

// See settled().
UMEMCG_COLD SliceWord wait_for_purge(Slice& slice);

// Waits for those who keep pages from being given back, until `deadline`
// (monotonic_ns): for the purges that are under way, and for whoever was at
// work where the thread's last purge of a subtree met others. False if there
// was nobody. REQUIRES: the thread has no gate.
bool wait_for_others(uint64_t deadline);

// Whether some thread is in the middle of giving pages back. A slice that says
// `purging` while this is false was left so by a fork.
bool purge_in_progress();

// The word of a slice, once no purge is at work on it. A purge is one madvise
// long; `purging` without any purge was left by a fork and is taken off.
// REQUIRES: the chunk's gate.
inline SliceWord settled(Slice& slice) {
  SliceWord word = slice.load();
  return UMEMCG_LIKELY(!word.purging()) ? word : wait_for_purge(slice);
}

// Drops the contents of some of a slice's pages; false if some may remain.
bool drop_contents(SliceNumber number, uint32_t pages);

// In the child of a fork: purges that were under way are not.
void reset_purges();

// Whether a purge also takes the access away (strict mode, see range.h).
void set_purge_protects(bool on);

}  // namespace umemcg
