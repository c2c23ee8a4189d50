// Asking other processes of the domain to give pages back: only they can purge
// their pages, collect their heaps and call their shrinkers.
//
//   asker:   Group::reclaim_pages, then its reclaim_seq, then the header's
//            (release), and wakes workers; waits a little for answers
//   process: at a slow path or in its worker sees the header's reclaim_seq,
//            serves the groups it has charges in (reclaim/serve.h), writes
//            ProcessSlot::reclaim_seen
//
// A process that sleeps is not waited for: one that has missed a request is
// asked again, but no longer waited for until it has answered one. Whoever is
// killed here, asking or answering, leaves nothing held: the words are hints.
#pragma once

#include <cstdint>

#include "accounting/segment.h"
#include "base/hook.h"

namespace umemcg {

// How long a round of a limit's or memory.reclaim's writer waits for answers.
inline constexpr uint64_t kRequestWaitNs = 10'000'000;

// Asks the other processes with charges in the subtree of `group` for `pages`,
// and waits at most `wait_ns` as long as some that usually answer have not.
// The pages by which the group's usage fell meanwhile, at least 0. Returns at
// once if no other process has anything to give.
int64_t request_reclaim(Segment& segment, uint32_t group, int64_t pages,
                        uint64_t wait_ns);

// Whether somebody has asked since this process last answered. One or two
// loads.
bool reclaim_requested(Segment& segment, uint32_t process);

// The request that this process has served last, of its own segment, or that
// was the last when it came: what its threads compare the header's with.
extern constinit std::atomic<uint32_t> g_requests_served;
inline bool reclaim_requested_here() {
  return g_segment.header().reclaim_seq.load(std::memory_order_relaxed) !=
         g_requests_served.load(std::memory_order_relaxed);
}

// Whether the group is asked for something that came after request `seen`.
inline bool asked_since(const Group& group, uint32_t seen) {
  // relaxed: the caller has read the header's, with acquire.
  const uint32_t seq = group.reclaim_seq.load(std::memory_order_relaxed);
  return static_cast<int32_t>(seq - seen) > 0;
}

// Pages that one process could give back to the subtree of `group` for sure,
// and those that it has charged there.
struct Givable {
  int64_t cached = 0;
  int64_t charged = 0;
};
Givable givable_pages(Segment& segment, uint32_t group, uint32_t process);

// Gives back about `pages` of the subtree for who writes a control file; the
// pages. Without a heap in the segment (the command line) others are asked;
// reclaim/ installs what a process with one does. `proactive`: memory.reclaim,
// not a limit.
extern constinit Hook<int64_t(Segment& segment, uint32_t group, int64_t pages,
                              bool proactive)>
    g_reclaim_hook;

}  // namespace umemcg
