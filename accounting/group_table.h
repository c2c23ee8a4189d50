// The rows of groups: names and chains, making a row and freeing it. What the
// tree's operations (mem_cgroup.h) are made of; all but find_in_chain() and
// hash_name() REQUIRE the segment's lock.
#pragma once

#include <cstddef>
#include <cstdint>

#include "accounting/segment.h"

namespace umemcg {

uint32_t hash_name(uint32_t parent, const char* name, size_t length);

// The name of a group; at most kNameSize bytes, the NUL included.
void read_name(const Group& group, char* name);

// The online child of that name, by its chain; kNone if it is not there (or is
// being moved in the chain just now: then look again under the lock).
uint32_t find_in_chain(Segment& segment, uint32_t parent, const char* name,
                       size_t length);

// A free row, made a group below `parent` and put online; kNone if there is
// none.
uint32_t make_row(Segment& segment, uint32_t parent, const char* name,
                  size_t length);

// Takes a group that is online out of sight.
void take_offline(Segment& segment, uint32_t group);

// Frees an offline group's row, or all of them, if nothing refers to them and
// nobody stays in a section (2 ms). How many.
uint32_t free_offline_row(Segment& segment, uint32_t group);
uint32_t free_offline_rows(Segment& segment);

// After a holder of the lock died in the middle of a change: chains, counts of
// children and of the dying anew.
void rebuild_group_table(Segment& segment);

}  // namespace umemcg
