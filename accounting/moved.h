// A process that was moved stays where it was moved to when it calls exec, and
// programs that it starts begin there: cgroup membership, as the kernel has it.
// (A child that only forks goes on in its parent's group anyhow.)
//
// Nothing of a process is left at exec but its number and the time it started,
// by which its slot, or what is left of that, is found; a new child is known by
// its parent. So a child is taken along if its parent lives, and the program
// was told to begin where its parent was told to: who sets UMEMCG_GROUP anew
// means it.
//
// Accepted: a parent that ends before its child has called exec, and a slot
// that was taken by somebody else in the moment of the exec, take nobody along;
// then the program begins where its environment says.
#pragma once

#include <cstdint>

#include "accounting/segment.h"

namespace umemcg {

// Of the process with that slot: passed on to who starts from it.
struct Origin {
  uint64_t home = 0;      // where it was told to begin: home_of(); 0: nowhere
  uint64_t moved_to = 0;  // id of the group it was moved to; 0: it was not
};
Origin origin_of(const ProcessSlot& slot);

// Stands for the group named in the environment; never 0.
uint64_t home_of(const char* path);

// The group to which the calling process, or else its parent, has been moved
// from that home, and its id as moved_to in *origin; kNone: neither was.
// Takes no lock.
uint32_t moved_group(Segment& segment, Origin* origin);

}  // namespace umemcg
