#include "accounting/victim.h"

#include <signal.h>

#include "accounting/mem_cgroup.h"
#include "accounting/process.h"
#include "base/sys.h"
#include "base/text.h"

namespace umemcg {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

constexpr int64_t kNeverKilled = -1000;

// The process that has said that it exits. (The child of a fork has its
// parent's, which is not its own pid.)
constinit std::atomic<int32_t> exiting{0};

uint32_t now_ms() { return static_cast<uint32_t>(sys::coarse_ms()); }

// oom_score_adj; kNeverKilled if it cannot be read.
int64_t score_adjustment(int32_t pid) {
  Text<256> path;
  path.text(g_oom_score_folder)
      .character('/')
      .signed_number(pid)
      .text("/oom_score_adj");
  char text[32];
  if (sys::read_file(path.c_str(), text, sizeof(text)) <= 0) {
    return kNeverKilled;
  }
  const bool negative = text[0] == '-';
  int64_t value = 0;
  for (const char* at = text + negative; *at >= '0' && *at <= '9'; ++at) {
    value = value * 10 + (*at - '0');
    if (value > -kNeverKilled) break;
  }
  return negative ? -value : value;
}

int32_t pid_of(Segment& segment, uint32_t process) {
  return is_own_process(segment, process)
             ? sys::process_id()
             : segment.process(process)->pid.load(kRelaxed);
}

bool attached(const ProcessSlot& slot) {
  // acquire: pairs with fill_slot() in process.cc.
  return slot.state.load(std::memory_order_acquire) == ProcessState::kAttached;
}

template <typename Function>
void for_ledgers_in(Segment& segment, uint32_t process, uint32_t root,
                    Function function) {
  for (uint32_t i = 0; i < segment.ledgers_used(); ++i) {
    const Ledger& ledger = *segment.ledger(i);
    const uint64_t owner = ledger.owner.load(kRelaxed);
    if (owner == 0 || owner_process(owner) != process) continue;
    const uint32_t group = owner_group(owner);
    if (in_subtree(segment, group, root)) {
      function(group, ledger.pages.load(kRelaxed));
    }
  }
}

// The group that a kill of the process is counted with.
uint32_t group_in(Segment& segment, uint32_t process, uint32_t root) {
  const uint32_t own = segment.process(process)->group.load(kRelaxed);
  if (in_subtree(segment, own, root)) return own;
  uint32_t group = root;
  int64_t most = 0;
  for_ledgers_in(segment, process, root, [&](uint32_t its, int64_t pages) {
    if (pages > most) {
      most = pages;
      group = its;
    }
  });
  return group;
}

// Counted and marked before the signal, so that who sees it dead sees why.
void count_kill(Segment& segment, uint32_t process, uint32_t group) {
  memcg_memory_event(segment, group, Event::kOomKill);
  ProcessSlot* slot = segment.process(process);
  if (slot != nullptr) mark_ending(*slot, kProcessVictim);
}

}  // namespace

constinit const char* g_oom_score_folder = "/proc";

void mark_ending(ProcessSlot& slot, ProcessFlag flag) {
  slot.ending_ms.store(now_ms(), kRelaxed);
  // release: who sees the flag sees since when.
  slot.flags.fetch_or(flag, std::memory_order_release);
}

bool is_ending(const ProcessSlot& slot) {
  // acquire: pairs with mark_ending().
  const uint32_t flags = slot.flags.load(std::memory_order_acquire);
  return (flags & (kProcessExiting | kProcessVictim)) != 0;
}

bool process_is_leaving() {
  const ProcessSlot* self = own_process();
  return self != nullptr && is_ending(*self);
}

void mark_exiting() {
  exiting.store(sys::process_id(), kRelaxed);
  ProcessSlot* self = own_process();
  if (self != nullptr && !is_ending(*self)) mark_ending(*self, kProcessExiting);
}

void begin_flags(ProcessSlot& slot) {
  slot.flags.store(0, kRelaxed);
  slot.forced.store(0, kRelaxed);
  if (exiting.load(kRelaxed) == sys::process_id()) {
    mark_ending(slot, kProcessExiting);
  }
}

bool may_force_charge(int64_t pages) {
  ProcessSlot* self = own_process();
  if (self == nullptr || !is_ending(*self)) return false;
  const int64_t before = self->forced.fetch_add(pages, kRelaxed);
  if (before + pages <= kMostForcedPages) return true;
  self->forced.fetch_sub(pages, kRelaxed);
  return false;
}

int64_t charged_in(Segment& segment, uint32_t process, uint32_t group) {
  int64_t sum = 0;
  for_ledgers_in(segment, process, group,
                 [&](uint32_t, int64_t pages) { sum += pages; });
  return sum;
}

bool somebody_ends(Segment& segment, uint32_t group) {
  for (uint32_t i = 0; i < segment.processes_used(); ++i) {
    const ProcessSlot& slot = *segment.process(i);
    if (!attached(slot) || !is_ending(slot) || is_own_process(segment, i))
      continue;
    const uint32_t since = now_ms() - slot.ending_ms.load(kRelaxed);
    if (since < kMostEndingMs && charged_in(segment, i, group) > 0 &&
        process_alive(segment, i)) {
      return true;
    }
  }
  return false;
}

namespace {
// PF_EXITING, or SIGKILL pending: the 9th and 31st word of /proc/PID/stat.
bool is_dying(int32_t pid) {
  constexpr uint64_t kExiting = 4;
  constexpr uint64_t kKilled = uint64_t{1} << (SIGKILL - 1);
  return (process_stat_word(pid, 9) & kExiting) != 0 ||
         (process_stat_word(pid, 31) & kKilled) != 0;
}
}  // namespace

bool somebody_dies(Segment& segment, uint32_t group) {
  const uint64_t here = own_pid_namespace();
  for (uint32_t i = 0; i < segment.processes_used(); ++i) {
    const ProcessSlot& slot = *segment.process(i);
    if (attached(slot) && !is_own_process(segment, i) &&
        slot.pid_namespace.load(kRelaxed) == here &&
        charged_in(segment, i, group) > 0 &&
        is_dying(slot.pid.load(kRelaxed)) && process_alive(segment, i)) {
      return true;
    }
  }
  return false;
}

uint32_t oom_group_of(Segment& segment, uint32_t group, uint32_t limiting) {
  uint32_t highest = kNone;
  if (!in_subtree(segment, group, limiting)) return kNone;
  for (int level = 0; level <= kMaxDepth && group != kNone; ++level) {
    const Group* row = segment.group(group);
    if (row == nullptr) break;
    if (row->oom_group.load(kRelaxed) != 0) highest = group;
    if (group == limiting) break;
    group = parent_group(segment, group);
  }
  return highest;
}

// The worst after *worst, in the order of badness and slot.
bool Victim::next_worst(Candidate* worst) {
  const int64_t limit = segment_.group(limiting_)->memory.max();
  Candidate found = {0, kNone};
  for (uint32_t i = 0; i < segment_.processes_used(); ++i) {
    const ProcessSlot& slot = *segment_.process(i);
    if (!attached(slot) || is_ending(slot)) continue;
    const int64_t pages = charged_in(segment_, i, limiting_);
    if (pages <= 0) continue;
    const int64_t adjustment = score_adjustment(pid_of(segment_, i));
    if (adjustment == kNeverKilled) continue;
    const int64_t badness = pages + adjustment * (limit / 1000);
    const bool later = worst->process == kNone || badness < worst->badness ||
                       (badness == worst->badness && i > worst->process);
    if (later && (found.process == kNone || badness > found.badness)) {
      found = {badness, i};
    }
  }
  if (found.process == kNone) return false;
  *worst = found;
  return true;
}

Victim::Victim(Segment& segment, uint32_t group)
    : segment_(segment), limiting_(group), domain_(segment) {
  Candidate worst = {0, kNone};
  for (uint32_t tried = 0; tried < segment.processes_used(); ++tried) {
    if (!next_worst(&worst)) return;
    const bool self = is_own_process(segment, worst.process);
    if (!self) victim_ = HeldProcess(segment, domain_, worst.process);
    if (!self && !victim_.held()) continue;
    process_ = worst.process;
    group_ = group_in(segment, process_, limiting_);
    return;
  }
}

void Victim::kill() {
  const uint32_t together = oom_group_of(segment_, group_, limiting_);
  count_kill(segment_, process_, group_);
  if (together != kNone) {
    memcg_memory_event(segment_, together, Event::kOomGroupKill);
  }
  if (victim_.held()) victim_.signal(SIGKILL);
  if (together != kNone) kill_group(together);
  if (!victim_.held()) sys::send_signal(sys::process_id(), SIGKILL);
}

// All processes of the subtree; the caller's own last.
void Victim::kill_group(uint32_t root) {
  bool own = false;
  for (uint32_t i = 0; i < segment_.processes_used(); ++i) {
    const ProcessSlot& slot = *segment_.process(i);
    const uint32_t group = slot.group.load(kRelaxed);
    if (i == process_ || !attached(slot) ||
        !in_subtree(segment_, group, root) ||
        (slot.flags.load(kRelaxed) & kProcessVictim) != 0 ||
        score_adjustment(pid_of(segment_, i)) == kNeverKilled) {
      continue;
    }
    const bool self = is_own_process(segment_, i);
    const HeldProcess other =
        self ? HeldProcess() : HeldProcess(segment_, domain_, i);
    if (!self && !other.held()) continue;
    count_kill(segment_, i, group);
    own |= self;
    if (!self) other.signal(SIGKILL);
  }
  if (own) sys::send_signal(sys::process_id(), SIGKILL);
}

}  // namespace umemcg
