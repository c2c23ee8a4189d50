// Triggers on pressure stall information: "tell me when tasks of the group have
// stalled for so long within such a window", psi_trigger in Linux. Who waits
// for one asks here; nothing of it lies in the segment.
//
// The stalled time of the last window is that since the window under way
// began, and the share of the one before that the rest of this one stands for.
// (A window ends when it is seen to be over, so it may be a tenth longer.)
// A trigger fires at most once a window; what passes the threshold sooner is
// told when the window is over.
//
// Windows are 500 ms to 10 s. They need not be multiples of 2 s, as the kernel
// wants of unprivileged writers: that saves a kernel thread at real-time
// priority, which there is none of here.
#pragma once

#include <cstdint>

#include "accounting/psi.h"

namespace umemcg {

inline constexpr uint32_t kPsiLeastWindowUs = 500'000;
inline constexpr uint32_t kPsiMostWindowUs = 10'000'000;
// So often a trigger wants to be asked.
inline constexpr uint32_t kPsiUpdatesPerWindow = 10;

// One thread's at a time.
struct PsiTrigger {
  PsiState state;
  uint32_t threshold_us;
  uint32_t window_us;
  // The window under way: when it began, the total then, and by how much the
  // one before grew.
  uint64_t start_us;
  uint64_t start_total_us;
  uint64_t previous_us;
  uint64_t asked_us;
  uint64_t fired_us;  // 0: never
  bool pending;       // it has passed its threshold, but fired too recently
  bool idle;          // nothing has grown for a window
};

// "some 150000 1000000" or "full ...": stalled microseconds, and the window's.
// As the kernel, what follows is not looked at. 0, or EINVAL (also for numbers
// that psi_trigger_init() refuses).
int parse_psi_trigger(const char* text, PsiState* state, uint32_t* threshold_us,
                      uint32_t* window_us);

// 0, or EINVAL: a threshold of 0 or above the window, or a window out of range.
int psi_trigger_init(PsiTrigger& trigger, PsiState state, uint32_t threshold_us,
                     uint32_t window_us, uint64_t now_us, uint64_t total_us);

// The group's total is `total_us` now: whether to tell.
bool psi_trigger_update(PsiTrigger& trigger, uint64_t now_us,
                        uint64_t total_us);

// The same for a group. While PsiGroup::triggers is marked (notify.h), a stall
// that begins in the group after a pause wakes those who wait; triggers must be
// asked then, whatever psi_trigger_next() said.
int psi_trigger_start(PsiTrigger& trigger, Segment& segment, uint32_t group,
                      PsiState state, uint32_t threshold_us, uint32_t window_us,
                      uint64_t now_ns);

// Whether to tell now. Brings the group's figures up to date.
bool psi_trigger_due(PsiTrigger& trigger, Segment& segment, uint32_t group,
                     uint64_t now_ns);

// When to ask again at the latest, in nanoseconds of CLOCK_MONOTONIC: after a
// tenth of a window, and while nothing happens after a whole one.
uint64_t psi_trigger_next(const PsiTrigger& trigger);

}  // namespace umemcg
