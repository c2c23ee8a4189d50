// What memory.stat and memory.numa_stat are made of, by the names of either
// version.
#pragma once

#include <cstdint>

#include "accounting/segment.h"
#include "accounting/stat.h"

namespace umemcg {

struct StatSource {
  int64_t own[kStats];
  int64_t records = 0;       // the allocator's, pages
  int64_t stock = 0;         // charged ahead, pages
  int64_t reserve_used = 0;  // over max, pages
  int64_t kmem = 0;          // objects' charges, pages
  int64_t sock = 0;

  int64_t get(Stat stat) const { return own[static_cast<int>(stat)]; }
  int64_t used() const { return get(Stat::kUsed) - records; }
  int64_t cached() const { return get(Stat::kCached); }
};

// Of the group and those below, or (`subtree` is false) of what is charged to
// the group itself; of the latter only `own` and `records`.
StatSource gather_stats(Segment& segment, uint32_t group, bool subtree);

// Whether the machine has one memory node. Where it has several, nobody knows
// on which a page lies, and there is no memory.numa_stat (as with a kernel that
// knows of no nodes).
bool one_memory_node();
// Where the nodes are listed; tests have a file of their own.
extern constinit const char* g_memory_nodes;

}  // namespace umemcg
