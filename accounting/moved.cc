#include "accounting/moved.h"

#include "accounting/mem_cgroup.h"
#include "accounting/process.h"
#include "base/sys.h"

namespace umemcg {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

// Where the slot's process was moved to, if it is one that has `home`, and the
// group is still there.
uint32_t moved_from(Segment& segment, const ProcessSlot& slot, Origin* origin) {
  const Origin its = origin_of(slot);
  if (its.moved_to == 0 || its.home != origin->home) return kNone;
  const uint32_t group = slot.group.load(kRelaxed);
  if (group_id(segment, group) != its.moved_to ||
      !group_online(segment, group)) {
    return kNone;
  }
  origin->moved_to = its.moved_to;
  return group;
}

}  // namespace

Origin origin_of(const ProcessSlot& slot) {
  return {slot.home.load(kRelaxed), slot.moved_to.load(kRelaxed)};
}

// FNV-1a.
uint64_t home_of(const char* path) {
  uint64_t hash = 0xcbf29ce484222325;
  for (; *path != '\0'; ++path) {
    hash = (hash ^ static_cast<unsigned char>(*path)) * 0x100000001b3;
  }
  return hash != 0 ? hash : 1;
}

uint32_t moved_group(Segment& segment, Origin* origin) {
  if (segment.is_private()) return kNone;
  const uint64_t here = own_pid_namespace();
  const pid_t self = sys::process_id();
  const pid_t parent = sys::parent_id();
  uint32_t found = kNone;
  for (uint32_t i = 0; i < segment.processes_used(); ++i) {
    const ProcessSlot& slot = *segment.process(i);
    const pid_t pid = slot.pid.load(kRelaxed);
    if ((pid != self && pid != parent) || slot.moved_to.load(kRelaxed) == 0 ||
        slot.pid_namespace.load(kRelaxed) != here ||
        slot.start_time.load(kRelaxed) != process_start_time(pid)) {
      continue;
    }
    const uint32_t group = moved_from(segment, slot, origin);
    if (group == kNone) continue;
    if (pid == self) return group;
    found = group;
  }
  return found;
}

}  // namespace umemcg
