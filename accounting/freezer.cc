#include "accounting/freezer.h"

#include <signal.h>

#include <cerrno>

#include "accounting/held_process.h"
#include "accounting/live_processes.h"
#include "accounting/mem_cgroup.h"
#include "accounting/process.h"
#include "accounting/tree_change.h"
#include "base/sys.h"

namespace umemcg {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr uint64_t kLookNs = 1'000'000;
constexpr uint64_t kMsNs = 1'000'000;

bool was_stopped(const ProcessSlot& slot) {
  return (slot.flags.load(kRelaxed) & kProcessStopped) != 0;
}

bool stands_still(int32_t pid) {
  const char state = process_state(pid);
  return state == 'T' || state == 't';
}

// The signal it needs, or 0. What it needs is noted first: a kill in between
// leaves a mark too many, and the next thaw a SIGCONT too many.
int note_wanted(ProcessSlot& slot, bool stop) {
  if (stop) {
    slot.flags.fetch_or(kProcessStopped, kRelaxed);
    return SIGSTOP;
  }
  if (!was_stopped(slot)) return 0;
  slot.flags.fetch_and(~uint32_t{kProcessStopped}, kRelaxed);
  return SIGCONT;
}

// Until it is seen to stand still, or the time is up, or it is gone.
void wait_until_stopped(Segment& segment, uint32_t process, uint64_t deadline) {
  const int32_t pid = segment.process(process)->pid.load(kRelaxed);
  while (!stands_still(pid) && sys::monotonic_ns() < deadline &&
         process_alive(segment, process)) {
    sys::sleep_ns(kLookNs);
  }
}

uint64_t stopping_deadline() {
  return sys::monotonic_ns() + kMostStoppingMs * kMsNs;
}

// As its group wants it. True: the caller itself is to stop.
bool steer(Segment& segment, const MappedFile& domain, uint32_t process) {
  ProcessSlot& slot = *segment.process(process);
  const bool stop = is_frozen(segment, slot.group.load(kRelaxed));
  if (is_own_process(segment, process)) {
    note_wanted(slot, stop);
    return stop;
  }
  if (!stop && !was_stopped(slot)) return false;
  const HeldProcess held(segment, domain, process);
  if (held.held()) held.signal(note_wanted(slot, stop));
  return false;
}

// All in the group and below. REQUIRES: the segment's lock, to freeze.
bool steer_all(Segment& segment, uint32_t group, bool stop) {
  const MappedFile domain(segment);
  const LiveProcesses live(segment);
  auto concerned = [&](uint32_t process) {
    const uint32_t home = segment.process(process)->group.load(kRelaxed);
    return live.has(process) && in_subtree(segment, home, group);
  };
  bool own = false;
  const uint32_t processes = segment.processes_used();
  for (uint32_t i = 0; i < processes; ++i) {
    if (concerned(i)) own |= steer(segment, domain, i);
  }
  const uint64_t deadline = stopping_deadline();
  for (uint32_t i = 0; stop && i < processes; ++i) {
    if (concerned(i) && !is_own_process(segment, i) &&
        was_stopped(*segment.process(i))) {
      wait_until_stopped(segment, i, deadline);
    }
  }
  return own;
}

}  // namespace

bool is_frozen(Segment& segment, uint32_t group) {
  for (int level = 0; level <= kMaxDepth && group != kNone; ++level) {
    const Group* row = segment.group(group);
    if (row == nullptr) return false;
    if (row->freeze.load(kRelaxed) == kFrozen) return true;
    group = parent_group(segment, group);
  }
  return false;
}

int set_frozen(Segment& segment, uint32_t group, bool frozen, uint64_t id) {
  if (segment.is_private()) return EOPNOTSUPP;
  bool own;
  {
    TreeChange change(segment);
    // To thaw it is not needed: who has it may be stopped.
    if (!change.held() && frozen) return EAGAIN;
    if (id != 0 && group_id(segment, group) != id) return ENODEV;
    segment.group(group)->freeze.store(frozen ? kFrozen : 0, kRelaxed);
    own = steer_all(segment, group, frozen);
  }
  if (own) stop_self();
  return 0;
}

bool all_stopped(Segment& segment, uint32_t group) {
  if (!is_frozen(segment, group)) return false;
  const LiveProcesses live(segment);
  for (uint32_t i = 0; i < segment.processes_used(); ++i) {
    const ProcessSlot& slot = *segment.process(i);
    if (!in_subtree(segment, slot.group.load(kRelaxed), group) ||
        !live.has(i)) {
      continue;
    }
    const int32_t pid = live.visible(i, slot.pid.load(kRelaxed));
    if (pid == 0 || !stands_still(pid)) return false;
  }
  return true;
}

bool follow_freezer(Segment& segment, uint32_t process) {
  if (segment.is_private()) return false;
  const ProcessSlot& slot = *segment.process(process);
  const bool stop = is_frozen(segment, slot.group.load(kRelaxed));
  if (!stop && !was_stopped(slot)) return false;
  const MappedFile domain(segment);
  const bool own = steer(segment, domain, process);
  if (stop && !own) {
    wait_until_stopped(segment, process, stopping_deadline());
  }
  return own;
}

void stop_self() { sys::send_signal(sys::process_id(), SIGSTOP); }

}  // namespace umemcg
