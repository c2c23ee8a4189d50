#include "accounting/group_table.h"

#include <cstring>

#include "accounting/controller.h"
#include "accounting/gate.h"
#include "accounting/mem_cgroup.h"
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

bool has_name(const Group& group, const char* name, size_t length) {
  return length < kNameSize && std::memcmp(group.name, name, length) == 0 &&
         group.name[length] == '\0';
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
  for (auto* count :
       {&group.next, &group.children, &group.ledgers, &group.threads,
        &group.processes, &group.processes_total, &group.transient}) {
    count->store(0, kRelaxed);
  }
  // A new group hands on what it has, so that limits work at every level
  // without more ado (unlike the kernel's, which hand on nothing at first).
  group.subtree_control.store(above.subtree_control.load(kRelaxed), kRelaxed);
  group.max_depth.store(kNone, kRelaxed);
  group.max_descendants.store(kNone, kRelaxed);
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
    if (state_of(*group) == GroupState::kOnline &&
        group->parent.load(kRelaxed) == parent &&
        has_name(*group, name, length)) {
      return next - 1;
    }
    next = group->next.load(std::memory_order_acquire);
  }
  return kNone;
}

uint32_t make_row(Segment& segment, uint32_t parent, const char* name,
                  size_t length) {
  uint32_t index = find_free_row(segment);
  if (index == kNone && release_groups(segment) != 0) {
    index = find_free_row(segment);
  }
  Group* above = segment.group(parent);
  Group* row = segment.group(index);
  if (above == nullptr || row == nullptr) return kNone;
  Group& group = *row;
  reset_row(segment, group, *above, parent);
  for (const Controller& c : kControllerTable) c.alloc(segment, index);
  std::memcpy(group.name, name, length);
  group.name[length] = '\0';
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
  // seq_cst: a thread that is put into the group now sees it, or is seen.
  segment.group(index)->state.store(GroupState::kOffline,
                                    std::memory_order_seq_cst);
  fault_point("removing: a group is still linked");
  unlink(segment, index);
  fault_point("removing: a group is not counted yet");
  add(header.dying, +1);
  fault_point("removing: nobody knows yet");
  // release: pairs with accounts_outdated().
  header.generation.fetch_add(1, kRelease);
}

uint32_t free_row(Segment& segment, uint32_t index) {
  uint32_t freed = 0;
  // Until then the counts of what refers to a row may be too low.
  if (segment.header().recount_due.load(kRelaxed) != 0) return 0;
  while (index != kNone && index != kRootGroup) {
    Group* row = segment.group(index);
    const uint32_t above = parent_group(segment, index);
    Group* parent = segment.group(above);
    if (row == nullptr || parent == nullptr) break;
    Group& group = *row;
    if (state_of(group) != GroupState::kOffline ||
        group.children.load(kRelaxed) != 0 ||
        group.ledgers.load(std::memory_order_seq_cst) != 0) {
      break;
    }
    // Whoever found the group by a ledger that has been turned away from it
    // since, may still walk up from it.
    if (!wait_for_sections(segment)) break;
    for (const Controller& c : kControllerTable) c.free(segment, index);
    pass_stats_on(group, *parent);
    fault_point("freeing: a row is not free yet");
    add(parent->children, -1);
    add(segment.header().dying, -1);
    fault_point("freeing: a row is out of all counts");
    group.state.store(GroupState::kFree, kRelease);
    std::atomic<uint32_t>& hint = segment.header().free_hint;
    if (index < hint.load(kRelaxed)) hint.store(index, kRelaxed);
    ++freed;
    index = above;
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
}

}  // namespace umemcg
