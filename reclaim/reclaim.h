// Giving pages back: try_to_free_mem_cgroup_pages, and what it is made of.
//
//   try_to_free_pages(group, nr)           reclaim/reclaim.cc
//     goal max(nr, 32); groups over their soft limit first
//     for each source, cheapest first:     accounting/source.h
//       for priority 12 .. 0:
//         walk the groups of the subtree that this process has something in:
//           usage <= emin: skipped; <= elow: skipped in the first round
//           else a share of what is there, size >> priority, cut by protection
//     once more over elow, with `low` events, if that was skipped
//
// It runs where freeing, collecting, sleeping and calling back are allowed:
// never in the commit hook, never with an internal lock held.
#pragma once

#include <cstdint>

#include "accounting/source.h"

namespace umemcg {

// SWAP_CLUSTER_MAX: the least that is worth reclaiming.
inline constexpr int64_t kReclaimBatch = 32;
// DEF_PRIORITY: the first look is at 1/4096 of what there is.
inline constexpr int kFirstPriority = 12;

enum class ReclaimReason : uint8_t {
  kCharge,     // a charge was refused
  kHigh,       // the group is over memory.high
  kLimit,      // a limit was lowered
  kProactive,  // memory.reclaim: no pressure
  kRequest,    // another process of the domain asked: this process's share
};

// What a reclaim looked at and what it gave back, pages by source.
struct Reclaimed {
  int64_t scanned[kSources] = {};
  int64_t pages[kSources] = {};

  int64_t total() const {
    int64_t sum = 0;
    for (int64_t n : pages) sum += n;
    return sum;
  }
  int64_t& operator[](Source source) { return pages[static_cast<int>(source)]; }
};

// Gives back about `pages` charged to the subtree of `group`; more or less of
// them. The pages. Adds to *sum (may be null). Threads and processes that are
// asked are waited for until `wait_until_ns` (monotonic_ns) at most. errno is
// kept. In a callback of reclaim (t_context.reclaiming) it does nothing.
int64_t try_to_free_pages(uint32_t group, int64_t pages, ReclaimReason reason,
                          Reclaimed* sum = nullptr,
                          uint64_t wait_until_ns = UINT64_MAX);

}  // namespace umemcg
