// The processes of a segment. Each has a slot; what it charged stands in its
// ledgers. In a domain, two locks on bytes of the file say what is left of it:
//
//   alive   held through an open file of which one page is mapped that a fork
//           does not copy: it lives exactly as long as the address space
//   family  the same with a page that forks do copy: it lives as long as any
//           child that was forked (and has not called exec) does
//
// A process that is dead is reaped by whoever looks next: what it had charged
// is given back. While its family lives it is an orphaned slot: children hold
// what they inherited, so it stays charged.
#pragma once

#include <cstdint>

#include "accounting/moved.h"
#include "accounting/segment.h"

namespace umemcg {

// The slot of this process in g_segment (0 for a lone process); kNone while it
// has none. The child of a fork has its parent's until it takes one.
uint32_t this_process();

// Takes a slot for this process in g_segment, in `group`; dead processes met
// on the way are reaped. 0 or an error number (ENOSPC: the table is full;
// EBUSY: the segment's lock could not be had; ENOENT: the group is gone).
// A fork by another thread in the middle of it would copy the lock: see
// alloc/fork_gate.h. In a frozen group it returns when that is thawed.
int attach_process(uint32_t group, const char* name, const Origin& origin = {});

// Gives back what dead processes had charged. Returns how many were reaped;
// 0 for private segments. Takes the segment's lock.
uint32_t reap_dead_processes(Segment& segment);

// The same, by a caller that holds the lock (tree_change.h).
uint32_t reap_dead_locked(Segment& segment);

// Whether the slot is in use by a live process.
bool process_alive(Segment& segment, uint32_t process);

// Which slots are (alive[i] for each i below `count`), with the file opened
// once.
void processes_alive(Segment& segment, bool* alive, uint32_t count);

// Where the process's new charges go from now on. 0 or an error number: ESRCH
// (no live process there), ENOENT (no such group online), EAGAIN (the lock
// could not be had). The process notices at its next slow path; what it has
// charged stays where it is.
int move_process(Segment& segment, uint32_t process, uint32_t group);

// The slot of the live process with that pid (as seen from the caller's pid
// namespace), or kNone.
uint32_t find_process(Segment& segment, int32_t pid);

// move_process() for the process that has that pid then, to the group that had
// that id when it was looked up (ENOENT: its row is another's by now).
int move_pid(Segment& segment, int32_t pid, uint32_t group, uint64_t id);

// The inode of the calling process's pid namespace, which slots in a domain
// name too; 0 if that cannot be told.
uint64_t own_pid_namespace();

// The calling process's own slot; null if it has none: no process at all, and
// the child of a fork (in a domain: until it has taken one). Async-signal-safe.
ProcessSlot* own_process();

// A lone process's child goes on in its copy of the parent's slot.
void take_over_slot();

// A number in /proc/PID/stat (0: the caller's), by its place, from 3; 0 if it
// cannot be read.
uint64_t process_stat_word(int32_t pid, int word);
// Its state there: R, S, D, T (stopped) ...; 0 if it cannot be read.
char process_state(int32_t pid);
// When the process started, in clock ticks since boot; 0 if it cannot be told.
uint64_t process_start_time(int32_t pid);

// Adds `by` to a per-subtree count of `group` and its ancestors.
void add_to_ancestors(Segment& segment, uint32_t group,
                      std::atomic<uint32_t> Group::*count, int by);

}  // namespace umemcg
