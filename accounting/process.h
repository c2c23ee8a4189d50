// The processes of a segment. Each has a slot; what it charged stands in its
// ledgers. In a domain, a lock on the slot's byte of the file says whether it
// is alive: the lock lives exactly as long as the process's address space (it
// hangs on one mapped page that a fork does not copy), however the process
// ends. What a dead process had charged is given back by whoever looks next.
#pragma once

#include <cstdint>

#include "accounting/segment.h"

namespace umemcg {

// The slot of this process in g_segment (0 for a lone process).
uint32_t this_process();

// Takes a slot for this process in g_segment, in `group`; dead processes met
// on the way are reaped. 0 or an error number (ENOSPC: the table is full;
// EBUSY: the segment's lock could not be had).
int attach_process(uint32_t group, const char* name);

// In the child of a fork: its slot is its parent's until it has its own.
// Forgets the parent's liveness page (the fork did not copy it).
void forget_process();

// Gives back what dead processes had charged. Returns how many were reaped;
// 0 for private segments. Takes the segment's lock.
uint32_t reap_dead_processes(Segment& segment);

// Whether the slot is in use by a live process.
bool process_alive(Segment& segment, uint32_t process);

// Adds `by` (+1 or -1) to a per-subtree count of `group` and its ancestors.
void add_to_ancestors(Segment& segment, uint32_t group,
                      std::atomic<uint32_t> Group::*count, int by);

}  // namespace umemcg
