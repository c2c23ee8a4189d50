#include "accounting/kill_group.h"

#include <signal.h>

#include <cerrno>

#include "accounting/control_rows.h"
#include "accounting/held_process.h"
#include "accounting/live_processes.h"
#include "accounting/mem_cgroup.h"
#include "accounting/process.h"
#include "accounting/victim.h"
#include "base/sys.h"

namespace umemcg {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr uint64_t kLookNs = 2'000'000;
constexpr uint64_t kMsNs = 1'000'000;

struct Round {
  uint32_t dying = 0;    // have had the signal
  uint32_t refused = 0;  // cannot have it
  bool own = false;      // the caller is one of them
};

// One that was chosen when memory was out has had the signal, too.
bool was_killed(const ProcessSlot& slot) {
  return (slot.flags.load(kRelaxed) & kProcessVictim) != 0;
}

Round kill_round(Segment& segment, uint32_t group, const MappedFile& domain,
                 const Writer& writer) {
  const LiveProcesses live(segment);
  Round round;
  // Removed, when all were gone: it may be another's row by now.
  if (!control::is_meant(segment, group, writer)) return round;
  for (uint32_t i = 0; i < segment.processes_used(); ++i) {
    ProcessSlot& slot = *segment.process(i);
    if (!in_subtree(segment, slot.group.load(kRelaxed), group) ||
        !live.has(i)) {
      continue;
    }
    if (is_own_process(segment, i)) {
      round.own = true;
      continue;
    }
    if (!was_killed(slot)) {
      const HeldProcess held(segment, domain, i);
      if (!held.held()) {
        // It may have gone just now.
        round.refused += process_alive(segment, i);
        continue;
      }
      // Whoever is out of memory meanwhile waits for its end.
      mark_ending(slot, kProcessVictim);
      held.signal(SIGKILL);
    }
    const int32_t pid = slot.pid.load(kRelaxed);
    if (pid != writer.pid) ++round.dying;
  }
  return round;
}

}  // namespace

int kill_group(Segment& segment, uint32_t group, const Writer& writer) {
  const MappedFile domain(segment);
  const uint64_t end = sys::monotonic_ns() + kMostKillMs * kMsNs;
  Round round = kill_round(segment, group, domain, writer);
  while (round.dying != 0 && sys::monotonic_ns() < end) {
    sys::sleep_ns(kLookNs);
    round = kill_round(segment, group, domain, writer);
  }
  reap_dead_processes(segment);
  if (round.own) sys::send_signal(sys::process_id(), SIGKILL);
  return round.refused == 0 ? 0 : EPERM;
}

}  // namespace umemcg
