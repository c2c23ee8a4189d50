// Cached pages: free, resident, still charged. Each account keeps a stack of
// the slices that have some, so that giving pages back never scans the page
// table.
//
// The stack is lock-free: pushing is one compare-and-swap on its head; a purge
// takes the whole stack by exchange, keeps the slices it needs and puts the
// rest back before it calls the system. A slice may have been committed again
// since it was pushed; whoever takes it from the stack finds that out in its
// word. A purge in progress is counted, so that a charge that fails meanwhile
// knows that pages are on their way.
#pragma once

#include <cstdint>

#include "accounting/account.h"
#include "alloc/page_table.h"

namespace umemcg {

// A run of slices to push, linked through Slice::next.
class SliceChain {
 public:
  // Adds a slice whose word says `queued` already.
  void add(SliceNumber number, Slice& slice, uint32_t now_ms);
  // Pushes all on the account's stack.
  void push(Account& account);

 private:
  SliceNumber first_ = 0;
  Slice* last_ = nullptr;
};

enum class PurgeReason { kReclaim, kDecay, kTrim };

// Gives back at least `goal` cached pages of the account, if it has as many,
// and uncharges them. The pages given back.
int64_t purge_cached(Account& account, int64_t goal, PurgeReason reason);

// The same over this process's accounts in the subtree of `group`.
int64_t purge_cached_subtree(uint32_t group, int64_t goal, PurgeReason reason);

// Gives back what has been cached for more than a second; looks at most once a
// tenth of a second. The pages given back.
int64_t decay_cached();

// Keeps this process's cache small under a limit that it shares with others
// (LD_PRELOAD.md, "Cached memory"). Called after pages were cached.
void trim_shared_cache(Account& account);

// A slice in one account's stack now belongs to another: it is moved to that
// one's stack when either is looked through.
void note_misplaced();

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

// In the child of a fork: purges that were under way are not.
void reset_purges();

// Whether a purge also takes the access away (strict mode, see range.h).
void set_purge_protects(bool on);

}  // namespace umemcg
