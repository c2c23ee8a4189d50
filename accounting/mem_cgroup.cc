#include "accounting/mem_cgroup.h"

#include <cerrno>
#include <cstring>

#include "accounting/rows.h"

namespace umemcg {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

bool is_online(const Group& group) {
  // acquire: pairs with the release in make_group(), so the name is there.
  return group.state.load(std::memory_order_acquire) == GroupState::kOnline;
}

bool has_name(const Group& group, const char* name, size_t length) {
  return length < kNameSize && std::memcmp(group.name, name, length) == 0 &&
         group.name[length] == '\0';
}

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

// REQUIRES: the segment's lock.
int make_group(Segment& segment, uint32_t parent, const char* name,
               size_t length, uint32_t* result) {
  Group* above = segment.group(parent);
  uint32_t depth = above->depth.load(kRelaxed) + 1;
  if (depth > kMaxDepth) return ENOSPC;
  for (uint32_t index = 0; index < segment.group_count(); ++index) {
    Group& group = *segment.group(index);
    if (group.state.load(kRelaxed) != GroupState::kFree) continue;
    group.memory.init(&above->memory, true);
    group.parent.store(parent, kRelaxed);
    group.depth.store(depth, kRelaxed);
    group.threads.store(0, kRelaxed);
    group.processes.store(0, kRelaxed);
    group.processes_total.store(0, kRelaxed);
    group.refused_ms.store(0, kRelaxed);
    group.high.store(kPageCounterMax, kRelaxed);
    group.id.store(segment.header().next_group_id.fetch_add(1, kRelaxed),
                   kRelaxed);
    for (int e = 0; e < kEvents; ++e) {
      group.events[e].store(0, kRelaxed);
      group.events_local[e].store(0, kRelaxed);
    }
    for (auto& stat : group.stat) stat.store(0, kRelaxed);
    std::memcpy(group.name, name, length);
    group.name[length] = '\0';
    // release: pairs with is_online().
    group.state.store(GroupState::kOnline, std::memory_order_release);
    raise_high(segment.header().groups_high, index);
    *result = index;
    return 0;
  }
  return ENOSPC;
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
  const uint32_t used = segment.groups_used();
  for (uint32_t index = 0; index < used; ++index) {
    Group& group = *segment.group(index);
    if (is_online(group) && group.parent.load(kRelaxed) == parent &&
        has_name(group, name, length)) {
      return index;
    }
  }
  return kNone;
}

uint32_t find_group(Segment& segment, const char* path) {
  uint32_t group = kRootGroup;
  const char* name;
  size_t length;
  while (group != kNone && next_name(&path, &name, &length)) {
    group = find_child(segment, group, name, length);
  }
  return group;
}

int create_group(Segment& segment, const char* path, uint32_t* group) {
  *group = find_group(segment, path);
  if (*group != kNone) return 0;
  if (!segment.lock()) return EBUSY;
  int error = 0;
  *group = kRootGroup;
  const char* name;
  size_t length;
  while (error == 0 && next_name(&path, &name, &length)) {
    error = check_group_name(name, length);
    if (error != 0) break;
    uint32_t child = find_child(segment, *group, name, length);
    if (child == kNone) {
      error = make_group(segment, *group, name, length, &child);
    }
    *group = child;
  }
  segment.unlock();
  return error;
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
    out.character('/').text(row->name, strnlen(row->name, kNameSize));
  }
}

int64_t default_reserve(int64_t max_pages) {
  constexpr int64_t kLeast = 64 * kKiB >> kPageShift;
  constexpr int64_t kMost = 256 * kKiB >> kPageShift;
  int64_t percent = max_pages / 100;
  return percent < kLeast ? kLeast : percent > kMost ? kMost : percent;
}

}  // namespace umemcg
