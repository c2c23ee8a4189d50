// cgroup.freeze: the processes of a frozen group, and of those below, stand
// still. Each is stopped by SIGSTOP (so its parent sees it stop, as any that
// waits with WUNTRACED does), and goes on by SIGCONT when neither its group nor
// one above is frozen any more. Whoever joins such a group, or is moved into
// one, is stopped; whoever is moved out goes on. SIGKILL works.
//
// Who is stopped must not hold the segment's lock, or nobody could thaw it. So
// the lock is held by who freezes, until all have been seen stopped (for
// kMostStoppingMs at most).
//
// Only who was stopped here is made to go on; a SIGCONT from elsewhere makes it
// go on, too. A process that cannot be held (held_process.h) is not stopped. A
// lone process cannot be frozen: nobody could thaw it.
#pragma once

#include <cstdint>

#include "accounting/segment.h"

namespace umemcg {

inline constexpr uint32_t kMostStoppingMs = 500;

// Group::freeze of a frozen group. No small number: by a damaged one nobody is
// to be stopped for good.
inline constexpr uint32_t kFrozen = 0x6e7a7266;

// Whether the group or one above is to be frozen.
bool is_frozen(Segment& segment, uint32_t group);

// Freezes or thaws. 0 or an error number: EAGAIN (the lock could not be had),
// EOPNOTSUPP (a lone process), ENODEV (it is not the group with that id any
// more; 0: whichever has the row). If the caller is in the group, it returns
// when that is thawed.
int set_frozen(Segment& segment, uint32_t group, bool frozen, uint64_t id = 0);

// Whether it is frozen, and all in it and below have been seen stopped.
bool all_stopped(Segment& segment, uint32_t group);

// A process has joined, or was moved: stops it, or makes it go on, as its group
// now wants it. True: it is the caller itself, which is to call stop_self()
// when it has let the lock go. REQUIRES: the segment's lock.
bool follow_freezer(Segment& segment, uint32_t process);
void stop_self();

}  // namespace umemcg
