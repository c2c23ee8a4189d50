#include "cli/mount/node.h"

#include <cstring>

#include "accounting/mem_cgroup.h"

namespace umemcg::cgroupfs {
namespace {

constexpr int kFileBits = 8;
constexpr int kGroupBits = 20;
constexpr int kIdBits = 64 - kFileBits - kGroupBits;
constexpr uint64_t kIdMask = (uint64_t{1} << kIdBits) - 1;
static_assert(kMostGroups <= 1u << kGroupBits);

// Directories inside, beside the two names that every directory has itself.
nlink_t links_of(const Node& node) {
  if (g_segment.group(node.group)->children.load(std::memory_order_relaxed) ==
      0) {
    return 2;
  }
  nlink_t count = 2;
  for (uint32_t i = next_group(g_segment, kNone); i != kNone;
       i = next_group(g_segment, i)) {
    count += i != kRootGroup && parent_group(g_segment, i) == node.group;
  }
  return count;
}

mode_t mode_of(const Node& node) {
  const ControlFile* row = row_of(node);
  mode_t mode = row != nullptr ? S_IFREG | row->mode() : mode_t{S_IFDIR | 0755};
  // Triggers are written there.
  if (is_named(node, "memory.pressure")) mode |= 0200;
  // It has to be opened to be named in cgroup.event_control.
  if (is_named(node, "memory.pressure_level")) mode |= 0444;
  const bool others_read =
      g_segment.header().others_read.load(std::memory_order_relaxed) != 0;
  return others_read ? mode : mode & ~mode_t{077};
}

}  // namespace

View g_view;

fuse_ino_t number_of(const Node& node) {
  if (node.group == kRootGroup && node.file == 0) return FUSE_ROOT_ID;
  return (node.id & kIdMask) << (kGroupBits + kFileBits) |
         uint64_t{node.group} << kFileBits | node.file;
}

Node node_of(fuse_ino_t number) {
  if (number == FUSE_ROOT_ID) return directory_of(kRootGroup);
  Node node;
  node.file = number & ((1u << kFileBits) - 1);
  node.group = number >> kFileBits & ((1u << kGroupBits) - 1);
  node.id = number >> (kFileBits + kGroupBits);
  return node;
}

Node directory_of(uint32_t group) {
  return {group, group_id(g_segment, group) & kIdMask, 0};
}

Node file_in(const Node& directory, const ControlFile& row) {
  const auto place = &row - control_files(g_view.hierarchy);
  return {directory.group, directory.id, static_cast<unsigned>(place) + 1};
}

uint64_t id_of(const Node& node) {
  const uint64_t id = group_id(g_segment, node.group);
  const bool same = id != 0 && (id & kIdMask) == node.id;
  return same && group_online(g_segment, node.group) ? id : 0;
}

bool online(const Node& node) { return id_of(node) != 0; }

const ControlFile* row_of(const Node& node) {
  const ControlFile* row = control_files(g_view.hierarchy);
  for (unsigned i = 1; row->name != nullptr; ++i, ++row) {
    if (i == node.file) return row;
  }
  return nullptr;
}

const ControlFile* find_row(uint32_t group, const char* name) {
  for (const ControlFile* row = control_files(g_view.hierarchy);
       row->name != nullptr; ++row) {
    if (std::strcmp(row->name, name) == 0) {
      return has_control_file(g_segment, group, *row) ? row : nullptr;
    }
  }
  return nullptr;
}

bool is_named(const Node& node, const char* name) {
  const ControlFile* row = row_of(node);
  return row != nullptr && std::strcmp(row->name, name) == 0;
}

struct stat attributes(const Node& node) {
  struct stat info = {};
  info.st_ino = number_of(node);
  info.st_mode = mode_of(node);
  info.st_nlink = 0;
  if (online(node)) info.st_nlink = node.file != 0 ? 1 : links_of(node);
  info.st_uid = g_view.owner;
  info.st_gid = g_view.group;
  info.st_atim = info.st_mtim = info.st_ctim = g_view.since;
  info.st_blksize = 4096;
  return info;
}

}  // namespace umemcg::cgroupfs
