// Out of memory: which process is killed, and killing it. The kernel's rules:
//
//   badness = pages that it has charged in the subtree of the group whose limit
//             refused + oom_score_adj x that limit / 1000; -1000: never
//   memory.oom.group of the highest group from the victim's up to that one:
//             all of its processes die, but those with -1000
//   events are counted before the signal
//
// Only a process that can be held is chosen (held_process.h), so that a signal
// goes to nobody else.
//
// A process that is on its way out is waited for, not chosen, until it has
// taken longer than kMostEndingMs. Nothing here allocates or blocks; errno is
// kept. One at a time in a domain, by SegmentHeader::oom_lease.
#pragma once

#include <cstdint>

#include "accounting/held_process.h"
#include "accounting/layout.h"
#include "accounting/mapped_file.h"
#include "accounting/segment.h"

namespace umemcg {

// For how long a process that exits, or was killed, is waited for in all.
inline constexpr uint32_t kMostEndingMs = 5000;

// Where oom_score_adj is read from; tests have a folder of their own.
extern constinit const char* g_oom_score_folder;

// The process is on its way out from now on: `flag` is kProcessExiting or
// kProcessVictim. Async-signal-safe.
void mark_ending(ProcessSlot& slot, ProcessFlag flag);
bool is_ending(const ProcessSlot& slot);
// Whether the calling process is.
bool process_is_leaving();

// The calling process is exiting: what it charges is not refused any more, up
// to kMostForcedPages. The child of a fork that has no slot yet has it in the
// one that it takes. Async-signal-safe.
void mark_exiting();
inline constexpr int64_t kMostForcedPages = 4096;  // 16 MiB a process
// The calling process takes the slot.
void begin_flags(ProcessSlot& slot);

// Whether the calling process is on its way out (exit, or chosen as a victim)
// and may still charge `pages` over any limit; counts them if so.
bool may_force_charge(int64_t pages);

// Pages that the process has charged to groups of the subtree.
int64_t charged_in(Segment& segment, uint32_t process, uint32_t group);

// Whether another process than the caller's with pages in the subtree is on its
// way out, for no longer than kMostEndingMs.
bool somebody_ends(Segment& segment, uint32_t group);

// Whether another process with charges in the subtree is dying, by somebody
// else's signal perhaps: what it has will be back without another death. (Also
// true of one whose first thread has ended: not to be waited for without
// bound.)
bool somebody_dies(Segment& segment, uint32_t group);

// What memory.oom.group says: the group whose processes are killed together
// with one of `group`, at most `limiting`; kNone: that one alone.
uint32_t oom_group_of(Segment& segment, uint32_t group, uint32_t limiting);

// The process that is killed when `group` is out of memory.
class Victim {
 public:
  Victim(Segment& segment, uint32_t group);
  Victim(const Victim&) = delete;
  Victim& operator=(const Victim&) = delete;

  bool found() const { return process_ != kNone; }
  // Its slot, and the group that is charged with the kill: its own, or if that
  // is not in the subtree the one there in which it has most.
  uint32_t process() const { return process_; }
  uint32_t group() const { return group_; }

  // Counts, marks and kills it, and those who go with it. Does not return if
  // the calling process is among them. REQUIRES: found().
  void kill();

 private:
  struct Candidate {
    int64_t badness;
    uint32_t process;
  };
  bool next_worst(Candidate* worst);
  void kill_group(uint32_t group);

  Segment& segment_;
  const uint32_t limiting_;
  const MappedFile domain_;
  uint32_t process_ = kNone;
  uint32_t group_ = kNone;
  HeldProcess victim_;  // unless it is the calling process
};

}  // namespace umemcg
