#include "accounting/mem_cgroup.h"

#include <cerrno>
#include <cstring>

#include "accounting/controller.h"
#include "accounting/group_table.h"
#include "accounting/process.h"
#include "accounting/recount.h"
#include "accounting/stock_word.h"
#include "accounting/tree_change.h"
#include "base/fault_point.h"

namespace umemcg {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
// Rows that wait for being free are looked through when there are so many, and
// again when twice as many are left.
constexpr uint32_t kManyDying = 64;
constinit std::atomic<uint32_t> many_dying{kManyDying};

// The next component of a path; false at its end.
bool next_name(const char** path, const char** name, size_t* length) {
  while (**path == '/') ++*path;
  if (**path == '\0') return false;
  *name = *path;
  const char* end = std::strchr(*path, '/');
  *length =
      end != nullptr ? static_cast<size_t>(end - *path) : std::strlen(*path);
  *path += *length;
  return true;
}

uint32_t find_path(Segment& segment, const char* path) {
  uint32_t group = kRootGroup;
  const char* name;
  size_t length;
  while (group != kNone && next_name(&path, &name, &length)) {
    group = find_in_chain(segment, group, name, length);
  }
  return group;
}

uint32_t online_descendants(Segment& segment, uint32_t root) {
  uint32_t count = 0;
  for (uint32_t i = next_group(segment, kNone); i != kNone;
       i = next_group(segment, i)) {
    count += i != root && in_subtree(segment, i, root);
  }
  return count;
}

// Whether cgroup.max.depth and cgroup.max.descendants of all ancestors allow
// one more group below `parent`.
bool may_have_child(Segment& segment, uint32_t parent) {
  uint32_t depth = 1;
  for (uint32_t g = parent; g != kNone && depth <= kMaxDepth;
       g = parent_group(segment, g), ++depth) {
    const Group& group = *segment.group(g);
    if (depth > group.max_depth.load(kRelaxed)) return false;
    const uint32_t most = group.max_descendants.load(kRelaxed);
    if (most != kNone && online_descendants(segment, g) >= most) return false;
  }
  return true;
}

// REQUIRES: the segment's lock.
int make_group(Segment& segment, uint32_t parent, const char* name,
               size_t length, uint32_t* result) {
  int error = check_group_name(name, length);
  if (error != 0) return error;
  if (segment.group(parent)->depth.load(kRelaxed) >= kMaxDepth) return ENOSPC;
  if (!may_have_child(segment, parent)) return EAGAIN;
  *result = make_row(segment, parent, name, length);
  return *result != kNone ? 0 : ENOSPC;
}

bool has_online_child(Segment& segment, uint32_t group) {
  if (segment.group(group)->children.load(kRelaxed) == 0) return false;
  for (uint32_t i = next_group(segment, kNone); i != kNone;
       i = next_group(segment, i)) {
    if (parent_group(segment, i) == group) return true;
  }
  return false;
}

bool has_process(Segment& segment, uint32_t group) {
  for (uint32_t i = 0; i < segment.processes_used(); ++i) {
    const ProcessSlot& slot = *segment.process(i);
    // acquire: pairs with fill_slot() in process.cc.
    if (slot.state.load(std::memory_order_acquire) == ProcessState::kAttached &&
        slot.group.load(kRelaxed) == group) {
      return true;
    }
  }
  return false;
}

// One that was put into it; those that follow their process are seen by that.
bool has_thread(Segment& segment, uint32_t group) {
  for (uint32_t i = 0; i < segment.lines_used(); ++i) {
    const StockLine* line = segment.line(i);
    if (line != nullptr && line->owner.load(kRelaxed) != 0 &&
        line->group.load(kRelaxed) == group + 1) {
      return true;
    }
  }
  return false;
}

bool inhabited(Segment& segment, uint32_t group) {
  return has_process(segment, group) || has_thread(segment, group);
}

}  // namespace

int check_group_name(const char* name, size_t length) {
  if (length == 0 || length >= kNameSize) return EINVAL;
  if (std::memchr(name, '/', length) != nullptr ||
      std::memchr(name, '\n', length) != nullptr) {
    return EINVAL;
  }
  bool dots =
      name[0] == '.' && (length == 1 || (length == 2 && name[1] == '.'));
  return dots ? EINVAL : 0;
}

int check_group_path(const char* path) {
  const char* name;
  size_t length;
  for (int depth = 0; next_name(&path, &name, &length); ++depth) {
    if (check_group_name(name, length) != 0) return EINVAL;
    if (depth == kMaxDepth) return ENOSPC;
  }
  return 0;
}

uint32_t find_child(Segment& segment, uint32_t parent, const char* name,
                    size_t length) {
  return find_in_chain(segment, parent, name, length);
}

// A chain may be changed under our feet: what is not found is looked for again
// when nobody changes anything. (Without the lock, it is not there.)
uint32_t find_group(Segment& segment, const char* path) {
  uint32_t group = find_path(segment, path);
  if (group != kNone) return group;
  TreeChange change(segment, 200);
  return find_path(segment, path);
}

int create_group(Segment& segment, const char* path, uint32_t* group,
                 bool* made) {
  if (made != nullptr) *made = false;
  int error = check_group_path(path);
  if (error != 0) return error;
  *group = find_path(segment, path);
  if (*group != kNone) return 0;
  TreeChange change(segment);
  if (!change.held()) return EBUSY;
  uint32_t above = kRootGroup;
  const char* name;
  size_t length;
  while (next_name(&path, &name, &length)) {
    uint32_t child = find_in_chain(segment, above, name, length);
    if (child == kNone) {
      error = make_group(segment, above, name, length, &child);
      if (error != 0) return error;
      if (made != nullptr) *made = true;
    }
    above = child;
  }
  *group = above;
  return 0;
}

int create_child(Segment& segment, uint32_t parent, uint64_t parent_id,
                 const char* name, size_t length, uint32_t* group) {
  TreeChange change(segment);
  if (!change.held()) return EBUSY;
  if (group_id(segment, parent) != parent_id ||
      !group_online(segment, parent)) {
    return ENOENT;
  }
  if (find_in_chain(segment, parent, name, length) != kNone) return EEXIST;
  return make_group(segment, parent, name, length, group);
}

namespace {
// REQUIRES: the segment's lock; nobody is inside.
void remove_empty(Segment& segment, uint32_t group) {
  take_offline(segment, group);
  fault_point("removing: stocks are not drained yet");
  drain_all_stock(segment, group);
  free_offline_row(segment, group);
  const std::atomic<uint32_t>& dying = segment.header().dying;
  if (dying.load(kRelaxed) <= many_dying.load(kRelaxed)) return;
  free_offline_rows(segment);
  many_dying.store(2 * dying.load(kRelaxed) + kManyDying, kRelaxed);
}
}  // namespace

namespace {
// REQUIRES: the segment's lock.
int remove_locked(Segment& segment, uint32_t group) {
  if (group == kRootGroup) return EBUSY;
  if (!group_online(segment, group)) return ENOENT;
  if (has_online_child(segment, group)) return EBUSY;
  if (inhabited(segment, group)) {
    reap_dead_locked(segment);
    if (!group_online(segment, group)) return 0;  // it was transient
    if (inhabited(segment, group)) return EBUSY;
  }
  remove_empty(segment, group);
  return 0;
}
}  // namespace

int remove_group(Segment& segment, uint32_t group) {
  TreeChange change(segment);
  return change.held() ? remove_locked(segment, group) : EAGAIN;
}

int remove_group(Segment& segment, uint32_t group, uint64_t id) {
  TreeChange change(segment);
  if (!change.held()) return EAGAIN;
  return group_id(segment, group) == id ? remove_locked(segment, group)
                                        : ENOENT;
}

int remove_group_at(Segment& segment, const char* path) {
  TreeChange change(segment);
  if (!change.held()) return EAGAIN;
  return remove_locked(segment, find_path(segment, path));
}

void make_transient(Segment& segment, uint32_t group) {
  if (Group* row = segment.group(group)) row->transient.store(1, kRelaxed);
}

void remove_if_deserted(Segment& segment, uint32_t group) {
  const Group* row = segment.group(group);
  if (row == nullptr || row->transient.load(kRelaxed) == 0 ||
      !group_online(segment, group) || inhabited(segment, group) ||
      has_online_child(segment, group)) {
    return;
  }
  remove_empty(segment, group);
}

uint32_t release_groups(Segment& segment) {
  TreeChange change(segment, 200);
  return change.held() ? free_offline_rows(segment) : 0;
}

bool group_online(Segment& segment, uint32_t group) {
  const Group* row = segment.group(group);
  // acquire: pairs with make_row().
  return row != nullptr &&
         row->state.load(std::memory_order_acquire) == GroupState::kOnline;
}

uint64_t group_id(Segment& segment, uint32_t group) {
  const Group* row = segment.group(group);
  bool there = row != nullptr &&
               row->state.load(std::memory_order_acquire) != GroupState::kFree;
  return there ? row->id.load(kRelaxed) : 0;
}

uint32_t next_group(Segment& segment, uint32_t group) {
  for (uint32_t i = group + 1; i < segment.groups_used(); ++i) {
    if (group_online(segment, i)) return i;
  }
  return kNone;
}

uint32_t parent_group(Segment& segment, uint32_t group) {
  Group* row = segment.group(group);
  uint32_t parent = row != nullptr ? row->parent.load(kRelaxed) : kNone;
  return parent < segment.group_count() ? parent : kNone;
}

bool in_subtree(Segment& segment, uint32_t group, uint32_t root) {
  for (int level = 0; level <= kMaxDepth && group != kNone; ++level) {
    if (group == root) return true;
    group = parent_group(segment, group);
  }
  return false;
}

// A controller is handed down level by level.
bool has_controller(Segment& segment, uint32_t group, uint32_t controller) {
  for (int level = 0; level <= kMaxDepth && group != kRootGroup; ++level) {
    group = parent_group(segment, group);
    const Group* above = segment.group(group);
    if (above == nullptr) return true;
    if ((above->subtree_control.load(kRelaxed) & controller) == 0) return false;
  }
  return true;
}

uint32_t charged_group(Segment& segment, uint32_t group) {
  for (int level = 0; level <= kMaxDepth && group != kNone; ++level) {
    if (group_online(segment, group) &&
        has_controller(segment, group, kControllerMemory)) {
      return group;
    }
    group = parent_group(segment, group);
  }
  return kRootGroup;
}

namespace {

// Whether a child hands one of `controllers` on to children of its own.
bool handed_on(Segment& segment, uint32_t group, uint32_t controllers) {
  for (uint32_t i = next_group(segment, kNone); i != kNone;
       i = next_group(segment, i)) {
    if (parent_group(segment, i) == group &&
        (segment.group(i)->subtree_control.load(kRelaxed) & controllers) != 0 &&
        has_online_child(segment, i)) {
      return true;
    }
  }
  return false;
}

void reset_children(Segment& segment, uint32_t group, uint32_t controllers) {
  for (const Controller& c : kControllerTable) {
    if ((c.bit & controllers) == 0) continue;
    for (uint32_t i = next_group(segment, kNone); i != kNone;
         i = next_group(segment, i)) {
      if (parent_group(segment, i) == group) c.reset(segment, i);
    }
  }
}

}  // namespace

int set_subtree_control(Segment& segment, uint32_t group, uint32_t on,
                        uint32_t off) {
  TreeChange change(segment);
  if (!change.held()) return EAGAIN;
  if (!group_online(segment, group)) return ENOENT;
  std::atomic<uint32_t>& control = segment.group(group)->subtree_control;
  const uint32_t before = control.load(kRelaxed);
  const uint32_t now = (before | on) & ~off;
  for (const Controller& c : kControllerTable) {
    if ((now & ~before & c.bit) != 0 && !has_controller(segment, group, c.bit))
      return ENOENT;
  }
  if (handed_on(segment, group, before & ~now)) return EBUSY;
  control.store(now, kRelaxed);
  fault_point("a controller is half switched");
  reset_children(segment, group, before & ~now);
  // release: pairs with accounts_outdated().
  segment.header().generation.fetch_add(1, std::memory_order_release);
  // A group that gets its controller back has what its ledgers say.
  if ((now & ~before) != 0) recount(segment);
  return 0;
}

void group_path(Segment& segment, uint32_t group, TextBuffer& out) {
  uint32_t chain[kMaxDepth + 1];
  int depth = 0;
  while (group != kNone && group != kRootGroup && depth <= kMaxDepth) {
    chain[depth++] = group;
    group = parent_group(segment, group);
  }
  if (depth == 0) out.character('/');
  while (depth > 0) {
    const Group* row = segment.group(chain[--depth]);
    if (row == nullptr) return;
    char name[kNameSize];
    read_name(*row, name);
    out.character('/').text(name);
  }
}

int64_t default_reserve(int64_t max_pages) {
  constexpr int64_t kLeast = 64 * kKiB >> kPageShift;
  constexpr int64_t kMost = 256 * kKiB >> kPageShift;
  int64_t one_percent = max_pages / 100;
  if (one_percent < kLeast) return kLeast;
  return one_percent < kMost ? one_percent : kMost;
}

}  // namespace umemcg
