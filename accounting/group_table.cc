#include "accounting/group_table.h"

#include <cstring>

#include "accounting/controller.h"
#include "accounting/gate.h"
#include "accounting/mem_cgroup.h"
#include "accounting/notify.h"
#include "accounting/rows.h"
#include "base/fault_point.h"

namespace umemcg {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr auto kRelease = std::memory_order_release;

GroupState state_of(const Group& group) {
  // acquire: pairs with the release in make_row(), so the name is there.
  return group.state.load(std::memory_order_acquire);
}

// Names are read beside a writer, when a row is used again: byte by byte, and
// whoever needs to know looks at the id before and after.
char name_byte(const Group& group, size_t i) {
  return __atomic_load_n(&group.name[i], __ATOMIC_RELAXED);
}

bool has_name(const Group& group, const char* name, size_t length) {
  if (length >= kNameSize) return false;
  for (size_t i = 0; i < length; ++i) {
    if (name_byte(group, i) != name[i]) return false;
  }
  return name_byte(group, length) == '\0';
}

void write_name(Group& group, const char* name, size_t length) {
  for (size_t i = 0; i < length; ++i) {
    __atomic_store_n(&group.name[i], name[i], __ATOMIC_RELAXED);
  }
  __atomic_store_n(&group.name[length], '\0', __ATOMIC_RELAXED);
}

uint32_t hash_of(const Group& group) {
  return hash_name(group.parent.load(kRelaxed), group.name,
                   strnlen(group.name, kNameSize));
}

void link(Segment& segment, uint32_t index) {
  Group& group = *segment.group(index);
  std::atomic<uint32_t>& head = segment.bucket(hash_of(group));
  group.next.store(head.load(kRelaxed), kRelaxed);
  head.store(index + 1, kRelease);
}

void unlink(Segment& segment, uint32_t index) {
  Group& group = *segment.group(index);
  std::atomic<uint32_t>* link = &segment.bucket(hash_of(group));
  for (uint32_t steps = 0; steps <= segment.group_count(); ++steps) {
    const uint32_t at = link->load(kRelaxed) - 1;
    if (at == index) {
      link->store(group.next.load(kRelaxed), kRelease);
      return;
    }
    Group* row = segment.group(at);
    if (row == nullptr) return;
    link = &row->next;
  }
}

void add(std::atomic<uint32_t>& count, int by) {
  count.fetch_add(static_cast<uint32_t>(by), kRelaxed);
}

// From the hint on; it may be damaged, so then from the start.
uint32_t find_free_row(Segment& segment) {
  const uint32_t rows = segment.group_count();
  std::atomic<uint32_t>& hint = segment.header().free_hint;
  uint32_t index = hint.load(kRelaxed);
  for (uint32_t tried = 0; tried < rows; ++tried, ++index) {
    if (index >= rows) index = 0;
    if (segment.group(index)->state.load(kRelaxed) == GroupState::kFree) {
      hint.store(index + 1, kRelaxed);
      return index;
    }
  }
  return kNone;
}

// REQUIRES: the row is free.
void reset_row(Segment& segment, Group& group, const Group& above,
               uint32_t parent) {
  group.parent.store(parent, kRelaxed);
  group.depth.store(above.depth.load(kRelaxed) + 1, kRelaxed);
  for (auto* count : {&group.next, &group.children, &group.ledgers,
                      &group.threads, &group.processes, &group.processes_total,
                      &group.transient, &group.freeze}) {
    count->store(0, kRelaxed);
  }
  group.notify_on_release.store(above.notify_on_release.load(kRelaxed),
                                kRelaxed);
  // A new group hands on what it has, so that limits work at every level
  // without more ado (unlike the kernel's, which hand on nothing at first).
  group.subtree_control.store(above.subtree_control.load(kRelaxed), kRelaxed);
  group.max_depth.store(kNone, kRelaxed);
  group.max_descendants.store(kNone, kRelaxed);
  group.pressed_ms.store(0, kRelaxed);
  for (auto& count : group.events) count.store(0, kRelaxed);
  for (auto& count : group.events_local) count.store(0, kRelaxed);
  for (auto& stat : group.stat) stat.store(0, kRelaxed);
  group.id.store(segment.header().next_group_id.fetch_add(1, kRelaxed),
                 kRelaxed);
}

// What happened in it stays in the subtree's sums.
void pass_stats_on(Group& from, Group& to) {
  for (int i = kAmounts; i < kStats; ++i) {
    to.stat[i].fetch_add(from.stat[i].exchange(0, kRelaxed), kRelaxed);
  }
}

}  // namespace

void read_name(const Group& group, char* name) {
  size_t i = 0;
  for (; i + 1 < kNameSize && name_byte(group, i) != '\0'; ++i) {
    name[i] = name_byte(group, i);
  }
  name[i] = '\0';
}

// FNV-1a.
uint32_t hash_name(uint32_t parent, const char* name, size_t length) {
  uint32_t hash = 2166136261u ^ parent;
  hash *= 16777619u;
  for (size_t i = 0; i < length; ++i) {
    hash = (hash ^ static_cast<unsigned char>(name[i])) * 16777619u;
  }
  return hash ^ hash >> 15;
}

uint32_t find_in_chain(Segment& segment, uint32_t parent, const char* name,
                       size_t length) {
  // acquire: pairs with link() and unlink().
  uint32_t next = segment.bucket(hash_name(parent, name, length))
                      .load(std::memory_order_acquire);
  for (uint32_t steps = 0; next != 0 && steps <= segment.group_count();
       ++steps) {
    const Group* group = segment.group(next - 1);
    if (group == nullptr) return kNone;
    const uint64_t id = group->id.load(std::memory_order_acquire);
    if (state_of(*group) == GroupState::kOnline &&
        group->parent.load(kRelaxed) == parent &&
        has_name(*group, name, length) &&
        group->id.load(std::memory_order_acquire) == id) {
      return next - 1;
    }
    next = group->next.load(std::memory_order_acquire);
  }
  return kNone;
}

uint32_t make_row(Segment& segment, uint32_t parent, const char* name,
                  size_t length) {
  uint32_t index = find_free_row(segment);
  if (index == kNone && free_offline_rows(segment) != 0) {
    index = find_free_row(segment);
  }
  Group* above = segment.group(parent);
  Group* row = segment.group(index);
  if (above == nullptr || row == nullptr) return kNone;
  Group& group = *row;
  reset_row(segment, group, *above, parent);
  for (const Controller& c : kControllerTable) c.alloc(segment, index);
  write_name(group, name, length);
  raise_high(segment.header().groups_high, index);
  fault_point("making: a row is filled");
  add(above->children, +1);
  // release: pairs with state_of().
  group.state.store(GroupState::kOnline, kRelease);
  fault_point("making: a group is not linked yet");
  link(segment, index);
  for (const Controller& c : kControllerTable) c.online(segment, index);
  return index;
}

void take_offline(Segment& segment, uint32_t index) {
  SegmentHeader& header = segment.header();
  for (const Controller& c : kControllerTable) c.offline(segment, index);
  // A thread that is put into the group at this moment is not waited for: it
  // goes on to the nearest ancestor when it looks next.
  segment.group(index)->state.store(GroupState::kOffline, kRelease);
  fault_point("removing: a group is still linked");
  unlink(segment, index);
  fault_point("removing: a group is not counted yet");
  add(header.dying, +1);
  fault_point("removing: nobody knows yet");
  // release: pairs with accounts_outdated().
  header.generation.fetch_add(1, kRelease);
  wake_event_waiters(*segment.group(index));
  notify_listeners(segment);
}

namespace {
bool may_be_free(Segment& segment, uint32_t index) {
  // Until a recount that is due, counts of what refers to a row may be too low.
  if (segment.header().recount_due.load(kRelaxed) != 0) return false;
  const Group* group = segment.group(index);
  return group != nullptr && state_of(*group) == GroupState::kOffline &&
         group->children.load(kRelaxed) == 0 &&
         group->ledgers.load(std::memory_order_seq_cst) == 0 &&
         psi_stalled(group->psi) == 0;
}

// The link of an offline row in no chain: it could be freed when last looked
// at.
constexpr uint32_t kMarked = kNone;

void free_row(Segment& segment, uint32_t index) {
  Group& group = *segment.group(index);
  Group* parent = segment.group(parent_group(segment, index));
  if (parent == nullptr) return;
  for (const Controller& c : kControllerTable) c.free(segment, index);
  pass_stats_on(group, *parent);
  fault_point("freeing: a row is not free yet");
  add(parent->children, -1);
  add(segment.header().dying, -1);
  fault_point("freeing: a row is out of all counts");
  group.state.store(GroupState::kFree, kRelease);
  std::atomic<uint32_t>& hint = segment.header().free_hint;
  if (index < hint.load(kRelaxed)) hint.store(index, kRelaxed);
}

// Frees what can be freed of [first, last). Whoever found such a group by a
// ledger that has been turned away from it since, may still be walking up from
// there: so all sections end first.
uint32_t free_rows(Segment& segment, uint32_t first, uint32_t last) {
  bool any = false;
  for (uint32_t i = first; i < last; ++i) {
    if (!may_be_free(segment, i)) continue;
    segment.group(i)->next.store(kMarked, kRelaxed);
    any = true;
  }
  if (!any || !wait_for_sections(segment)) return 0;
  uint32_t freed = 0;
  for (uint32_t i = first; i < last; ++i) {
    if (!may_be_free(segment, i) ||
        segment.group(i)->next.load(kRelaxed) != kMarked) {
      continue;
    }
    free_row(segment, i);
    ++freed;
  }
  return freed;
}

}  // namespace

uint32_t free_offline_row(Segment& segment, uint32_t index) {
  return free_rows(segment, index, index + 1);
}

// Each level of a removed subtree is free to go when the one below it has gone.
uint32_t free_offline_rows(Segment& segment) {
  uint32_t freed = 0;
  for (int level = 0; level < kMaxDepth; ++level) {
    const uint32_t more = free_rows(segment, 1, segment.groups_used());
    if (more == 0) break;
    freed += more;
  }
  return freed;
}

void rebuild_group_table(Segment& segment) {
  const uint32_t used = segment.groups_used();
  for (uint32_t i = 0; i < segment.bucket_count(); ++i) {
    segment.bucket(i).store(0, kRelaxed);
  }
  for (uint32_t i = 0; i < used; ++i) {
    if (Group* group = segment.group(i)) group->children.store(0, kRelaxed);
  }
  uint32_t dying = 0;
  for (uint32_t i = 0; i < used; ++i) {
    const GroupState state = state_of(*segment.group(i));
    if (state == GroupState::kFree || i == kRootGroup) continue;
    Group* above = segment.group(parent_group(segment, i));
    if (above != nullptr) add(above->children, +1);
    if (state == GroupState::kOnline) {
      link(segment, i);
    } else {
      ++dying;
    }
  }
  segment.header().dying.store(dying, kRelaxed);
  // What its holder had done, perhaps nobody knows yet.
  segment.header().generation.fetch_add(1, kRelease);
}

}  // namespace umemcg
