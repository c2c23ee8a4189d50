#include "accounting/process.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "accounting/freezer.h"
#include "accounting/liveness.h"
#include "accounting/mem_cgroup.h"
#include "accounting/reclaim_request.h"
#include "accounting/rows.h"
#include "accounting/tree_change.h"
#include "accounting/victim.h"
#include "base/errno_saver.h"
#include "base/fault_point.h"
#include "base/sys.h"
#include "base/text.h"

namespace umemcg {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

constinit uint32_t own_slot = kNone;

constexpr int kStartTimeWord = 22;

// Of its own segment. What was asked before it came is not its business.
void fill_slot(Segment& segment, uint32_t process, uint32_t group,
               const char* name, const Origin& origin) {
  ProcessSlot* row = segment.process(process);
  if (row == nullptr) return;
  ProcessSlot& slot = *row;
  slot.pid.store(sys::process_id(), kRelaxed);
  slot.group.store(group, kRelaxed);
  slot.busy.store(0, kRelaxed);
  slot.page_table.store(0, kRelaxed);
  slot.accounts.store(0, kRelaxed);
  slot.home.store(origin.home, kRelaxed);
  slot.moved_to.store(origin.moved_to, kRelaxed);
  begin_flags(slot);
  slot.reclaim_missed.store(0, kRelaxed);
  const uint32_t asked = segment.header().reclaim_seq.load(kRelaxed);
  slot.reclaim_seen.store(asked, kRelaxed);
  g_requests_served.store(asked, kRelaxed);
  if (!segment.is_private()) {
    slot.start_time.store(process_stat_word(0, kStartTimeWord), kRelaxed);
    slot.pid_namespace.store(own_pid_namespace(), kRelaxed);
  }
  TextBuffer(slot.name, sizeof(slot.name)).text(name);
  add_to_ancestors(segment, group, &Group::processes, +1);
  add_to_ancestors(segment, group, &Group::processes_total, +1);
  fault_point("joining: a slot is not there yet");
  // First, or it would be attached where no scan comes by.
  raise_high(segment.header().processes_high, process);
  fault_point("joining: a slot is seen, but free");
  // release: pairs with the acquire loads of `state`.
  slot.state.store(ProcessState::kAttached, std::memory_order_release);
}

// A free slot whose locks were to be had. REQUIRES: the segment's lock.
uint32_t claim_slot(Segment& segment, OwnLocks& locks) {
  for (uint32_t i = 0; i < segment.process_count(); ++i) {
    // acquire: pairs with reap_process().
    if (segment.process(i)->state.load(std::memory_order_acquire) ==
            ProcessState::kFree &&
        locks.take(i)) {
      return i;
    }
  }
  return kNone;
}

int take_slot(uint32_t group, const char* name, const Origin& origin,
              OwnLocks& locks, bool* stop) {
  TreeChange change(g_segment);
  if (!change.held()) return EBUSY;
  if (!group_online(g_segment, group)) return ENOENT;
  reap_dead_locked(g_segment);
  const uint32_t slot = claim_slot(g_segment, locks);
  if (slot == kNone) return ENOSPC;
  fill_slot(g_segment, slot, group, name, origin);
  own_slot = slot;
  *stop = follow_freezer(g_segment, slot);
  return 0;
}

}  // namespace

uint32_t this_process() { return own_slot; }

int attach_process(uint32_t group, const char* name, const Origin& origin) {
  if (g_segment.is_private()) {
    own_slot = 0;
    fill_slot(g_segment, 0, group, name, origin);
    return 0;
  }
  OwnLocks locks;
  int error = locks.prepare(g_segment);
  if (error != 0) return error;
  bool stop = false;
  error = take_slot(group, name, origin, locks, &stop);
  locks.finish(error == 0);
  if (stop) stop_self();
  return error;
}

bool process_alive(Segment& segment, uint32_t process) {
  ProcessSlot* slot = segment.process(process);
  // acquire: pairs with fill_slot().
  if (slot == nullptr ||
      slot->state.load(std::memory_order_acquire) != ProcessState::kAttached) {
    return false;
  }
  return LivenessFile(segment).of(process) == Remains::kAlive;
}

void processes_alive(Segment& segment, bool* alive, uint32_t count) {
  LivenessFile file(segment);
  for (uint32_t i = 0; i < count; ++i) {
    ProcessSlot* slot = segment.process(i);
    // acquire: pairs with fill_slot().
    alive[i] = slot != nullptr &&
               slot->state.load(std::memory_order_acquire) ==
                   ProcessState::kAttached &&
               file.of(i) == Remains::kAlive;
  }
}

namespace {
// *stop: the caller is to stop when it has let the lock go. REQUIRES: the
// segment's lock.
int move_locked(Segment& segment, uint32_t process, uint32_t group,
                bool* stop) {
  if (!group_online(segment, group)) return ENOENT;
  if (!process_alive(segment, process)) return ESRCH;
  ProcessSlot& slot = *segment.process(process);
  const uint32_t before = slot.group.exchange(group, kRelaxed);
  slot.moved_to.store(group_id(segment, group), kRelaxed);
  fault_point("a process is half moved");
  add_to_ancestors(segment, before, &Group::processes, -1);
  add_to_ancestors(segment, group, &Group::processes, +1);
  add_to_ancestors(segment, group, &Group::processes_total, +1);
  // release: pairs with accounts_outdated().
  segment.header().generation.fetch_add(1, std::memory_order_release);
  *stop = follow_freezer(segment, process);
  return 0;
}
}  // namespace

int move_process(Segment& segment, uint32_t process, uint32_t group) {
  bool stop = false;
  {
    TreeChange change(segment);
    if (!change.held()) return EAGAIN;
    const int error = move_locked(segment, process, group, &stop);
    if (error != 0) return error;
  }
  if (stop) stop_self();
  return 0;
}

int move_pid(Segment& segment, int32_t pid, uint32_t group, uint64_t id) {
  bool stop = false;
  {
    TreeChange change(segment);
    if (!change.held()) return EAGAIN;
    if (group_id(segment, group) != id) return ENOENT;
    const uint32_t process = find_process(segment, pid);
    const int error = move_locked(segment, process, group, &stop);
    if (error != 0) return error;
  }
  if (stop) stop_self();
  return 0;
}

namespace {
// Where that word of /proc/PID/stat, read into `text`, begins; or null. The
// second is a name in parentheses that may hold anything.
const char* find_stat_word(int32_t pid, int word, char (&text)[512]) {
  Text<64> path;
  path.text("/proc/");
  pid == 0 ? path.text("self") : path.signed_number(pid);
  if (sys::read_file(path.text("/stat").c_str(), text, sizeof(text)) <= 0) {
    return nullptr;
  }
  const char* at = std::strrchr(text, ')');
  for (int i = 2; at != nullptr && i < word; ++i) at = std::strchr(at + 1, ' ');
  return at != nullptr ? at + 1 : nullptr;
}
}  // namespace

uint64_t process_stat_word(int32_t pid, int word) {
  char text[512];
  const char* at = find_stat_word(pid, word, text);
  if (at == nullptr) return 0;
  uint64_t value = 0;
  for (; *at >= '0' && *at <= '9'; ++at) {
    value = value * 10 + static_cast<uint64_t>(*at - '0');
  }
  return value;
}

char process_state(int32_t pid) {
  char text[512];
  const char* at = find_stat_word(pid, 3, text);
  return at != nullptr ? *at : '\0';
}

uint64_t process_start_time(int32_t pid) {
  return process_stat_word(pid, kStartTimeWord);
}

ProcessSlot* own_process() {
  if (!g_segment.mapped() || own_slot == kNone) return nullptr;
  ProcessSlot* slot = g_segment.process(own_slot);
  const bool own =
      slot != nullptr && slot->pid.load(kRelaxed) == sys::process_id();
  return own ? slot : nullptr;
}

void take_over_slot() {
  ProcessSlot* slot = g_segment.process(own_slot);
  if (!g_segment.is_private() || slot == nullptr) return;
  slot->pid.store(sys::process_id(), kRelaxed);
  begin_flags(*slot);
}

uint64_t own_pid_namespace() {
  ErrnoSaver saver;
  struct stat info;
  return ::stat("/proc/self/ns/pid", &info) == 0 ? info.st_ino : 0;
}

uint32_t find_process(Segment& segment, int32_t pid) {
  // (A lone process's slot names none.)
  const uint64_t here = segment.is_private() ? 0 : own_pid_namespace();
  for (uint32_t i = 0; i < segment.processes_used(); ++i) {
    const ProcessSlot& slot = *segment.process(i);
    if (slot.pid.load(kRelaxed) == pid &&
        slot.pid_namespace.load(kRelaxed) == here &&
        process_alive(segment, i)) {
      return i;
    }
  }
  return kNone;
}

void add_to_ancestors(Segment& segment, uint32_t group,
                      std::atomic<uint32_t> Group::*count, int by) {
  for (int level = 0; level <= kMaxDepth && group != kNone; ++level) {
    Group* row = segment.group(group);
    if (row == nullptr) return;
    (row->*count).fetch_add(static_cast<uint32_t>(by), kRelaxed);
    group = parent_group(segment, group);
  }
}

}  // namespace umemcg
