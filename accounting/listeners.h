// What this process listens to in g_segment: thresholds of usage, windows of
// pressure, triggers on stalled time. Each is an eventfd that the program
// reads, and that a worker writes to when it has looked:
//
//   threshold  the usage is on the other side than at the last look
//   pressure   windows have ended since the last look: their number is added
//   psi        the trigger is due
//   oom        the group, or one above it, was out of memory
//
// A look compares counts and levels, so one that comes late tells all the same.
// What has changed, in any process of the domain, makes notify_listeners()
// (notify.h) call for a look. When the group is removed its listeners are told
// once more, and are listeners no longer: cgroup_event's behaviour.
//
// Thread safety: any thread; a lock of the process's own, within which nothing
// is allocated from the heap.
#pragma once

#include <cstdint>

#include "accounting/pressure_delivery.h"
#include "accounting/psi.h"
#include "accounting/segment.h"

namespace umemcg {

inline constexpr int kMostListeners = 1024;

// The group with that id.
struct ListenedGroup {
  uint32_t index;
  uint64_t id;
};

// The program's descriptor, or a negative error number: -ENOSPC
// (kMostListeners), -EINVAL (not a trigger), what making a descriptor says.
// From here on a worker is wanted. An eventfd that is `given` is used instead
// of a new one, and is the listener's if there is no error.
inline constexpr int kNewEventFd = -1;
int listen_to_threshold(ListenedGroup group, int64_t pages,
                        int given = kNewEventFd);
int listen_to_pressure(ListenedGroup group, PressureLevel from,
                       PressureMode mode, int given = kNewEventFd);
int listen_to_oom(ListenedGroup group, int given = kNewEventFd);
int listen_to_psi(ListenedGroup group, PsiState state, uint32_t threshold_us,
                  uint32_t window_us);

// The listener that has the program's descriptor `fd` is one no longer; the
// descriptor stays open. 0 or EBADF.
int stop_listening(int fd);

// Whether there is any. seq_cst: pairs with the worker's end.
bool any_listeners();

// A look: tells all that have something to be told. Sets the marks that call
// for looks (notify.h). errno is kept.
void tell_listeners(uint64_t now_ns);

// When the next look is due that nobody calls for; UINT64_MAX: none.
uint64_t next_look_ns();

// In the child of a fork: they are its parent's.
void reset_listeners();

}  // namespace umemcg
