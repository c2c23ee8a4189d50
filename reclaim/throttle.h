// memory.high: a thread that charges while a group is over it pays, when it has
// left the allocator: first by reclaim, then by sleeping
// (mem_cgroup_handle_over_high).
//
//   seconds = pages x (overage ratio)^2, at most 2 s a time; up to 10 ms are
//   let pass. And at most 5 s in an episode; then it goes on, unthrottled, and
//   is only counted.
//
// An episode is the process's, for the group that its threads charge: from the
// first sleep until a charge finds usage below high everywhere, or reclaim gets
// as much as was owed. Time in which several threads sleep counts once. What
// threads had charged ahead is no such progress: there is always some of it.
//
// A signal handler runs at once; then the sleep goes on, so that a program with
// a timer is throttled as any other. A sleep ends early when the limit is
// raised, or the process is exiting or was chosen as a victim.
#pragma once

#include <cstdint>

namespace umemcg {

// MEMCG_MAX_HIGH_DELAY_JIFFIES, and below what nobody sleeps.
inline constexpr uint64_t kLongestDelayNs = 2'000'000'000;
inline constexpr uint64_t kShortestDelayNs = 10'000'000;
// In an episode.
inline constexpr uint64_t kMostThrottledNs = 5'000'000'000;

// calculate_overage and calculate_high_delay: how long one who charged `pages`
// sleeps for a level with that usage and high. At most kLongestDelayNs.
uint64_t high_delay_ns(int64_t pages, int64_t usage, int64_t high);

// Pays what the thread owes (t_context.over_high). Nothing if it may not sleep
// (its flags, or it is in a callback): then it stays owed, and the worker
// reclaims (work_off_over_high). One that is exiting owes nothing. errno is
// kept.
void handle_over_high();

// Reclaims for threads of the process that could not pay: high_work_func.
void work_off_over_high();

}  // namespace umemcg
