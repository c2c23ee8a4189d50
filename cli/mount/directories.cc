// Groups as directories: finding, listing, making and removing them.

#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include "accounting/group_table.h"
#include "accounting/mem_cgroup.h"
#include "accounting/tree_change.h"
#include "cli/mount/operations.h"
#include "cli/mount/watcher.h"

namespace umemcg::cgroupfs {
namespace {

struct Listed {
  std::string name;
  struct stat info;
};
using Listing = std::vector<Listed>;

Listing* listing_of(fuse_file_info* info) {
  return reinterpret_cast<Listing*>(info->fh);
}

void answer_with(fuse_req_t request, const struct stat& info) {
  fuse_entry_param entry = {};
  entry.ino = info.st_ino;
  entry.generation = 1;
  entry.attr = info;
  g_watcher.looked_up(entry.ino);
  // Not delivered: then the kernel does not know it.
  if (fuse_reply_entry(request, &entry) != 0) {
    g_watcher.forgotten(entry.ino, 1);
  }
}

// A chain may be changed under our feet (mem_cgroup.h, find_group).
uint32_t find_child_surely(uint32_t parent, const char* name) {
  const size_t length = std::strlen(name);
  const uint32_t child = find_child(g_segment, parent, name, length);
  if (child != kNone) return child;
  TreeChange change(g_segment, 200);
  return find_child(g_segment, parent, name, length);
}

// What is gone, by its number, for the daemon alone.
void look_up_dead(fuse_req_t request, const char* name) {
  char* end;
  const fuse_ino_t number = std::strtoull(name, &end, 10);
  if (*name == '\0' || *end != '\0' || online(node_of(number))) {
    fuse_reply_err(request, ENOENT);
    return;
  }
  answer_with(request, attributes(node_of(number)));
}

struct stat graveyard() {
  struct stat info = attributes(directory_of(kRootGroup));
  info.st_ino = kGraveyard;
  info.st_mode = S_IFDIR | 0700;
  info.st_uid = ::geteuid();
  return info;
}

Listing list(const Node& directory) {
  Listing all;
  all.push_back({".", attributes(directory)});
  const uint32_t parent = parent_group(g_segment, directory.group);
  all.push_back(
      {"..", attributes(parent != kNone ? directory_of(parent) : directory)});
  for (const ControlFile* row = control_files(g_view.hierarchy);
       row->name != nullptr; ++row) {
    if (!has_control_file(g_segment, directory.group, *row)) continue;
    all.push_back({row->name, attributes(file_in(directory, *row))});
  }
  for (uint32_t i = next_group(g_segment, kNone); i != kNone;
       i = next_group(g_segment, i)) {
    if (i == kRootGroup || parent_group(g_segment, i) != directory.group) {
      continue;
    }
    char name[kNameSize];
    read_name(*g_segment.group(i), name);
    // A file's name was given to a group by other ways: the file has it.
    if (find_row(directory.group, name) != nullptr) continue;
    all.push_back({name, attributes(directory_of(i))});
  }
  return all;
}

}  // namespace

void lookup(fuse_req_t request, fuse_ino_t parent, const char* name) {
  const bool ours = g_watcher.asks(fuse_req_ctx(request)->pid);
  if (parent == kGraveyard) {
    look_up_dead(request, name);
    return;
  }
  if (ours && parent == FUSE_ROOT_ID &&
      std::strcmp(name, kGraveyardName) == 0) {
    answer_with(request, graveyard());
    return;
  }
  const Node directory = node_of(parent);
  if (!online(directory) || directory.file != 0) {
    fuse_reply_err(request, ENOENT);
    return;
  }
  if (std::strlen(name) >= kNameSize) {
    fuse_reply_err(request, ENAMETOOLONG);
    return;
  }
  if (const ControlFile* row = find_row(directory.group, name)) {
    answer_with(request, attributes(file_in(directory, *row)));
    return;
  }
  const uint32_t child = find_child_surely(directory.group, name);
  const Node node = child != kNone ? directory_of(child) : Node();
  if (online(node)) {
    answer_with(request, attributes(node));
  } else {
    fuse_reply_err(request, ENOENT);
  }
}

void forget(fuse_req_t request, fuse_ino_t number, uint64_t count) {
  g_watcher.forgotten(number, count);
  fuse_reply_none(request);
}

void forget_many(fuse_req_t request, size_t count, fuse_forget_data* all) {
  for (size_t i = 0; i < count; ++i) {
    g_watcher.forgotten(all[i].ino, all[i].nlookup);
  }
  fuse_reply_none(request);
}

void get_attributes(fuse_req_t request, fuse_ino_t number, fuse_file_info*) {
  const struct stat info =
      number == kGraveyard ? graveyard() : attributes(node_of(number));
  fuse_reply_attr(request, &info, 0);
}

// Sizes and times are nothing here; what would be something is not ours to
// change.
void set_attributes(fuse_req_t request, fuse_ino_t number, struct stat* wanted,
                    int which, fuse_file_info*) {
  const struct stat info = attributes(node_of(number));
  const bool changes =
      ((which & FUSE_SET_ATTR_MODE) != 0 &&
       (wanted->st_mode & 07777) != (info.st_mode & 07777)) ||
      ((which & FUSE_SET_ATTR_UID) != 0 && wanted->st_uid != info.st_uid) ||
      ((which & FUSE_SET_ATTR_GID) != 0 && wanted->st_gid != info.st_gid);
  if (changes) {
    fuse_reply_err(request, EPERM);
  } else {
    fuse_reply_attr(request, &info, 0);
  }
}

void open_directory(fuse_req_t request, fuse_ino_t number,
                    fuse_file_info* info) {
  const Node node = node_of(number);
  if (!online(node)) {
    fuse_reply_err(request, ENOENT);
    return;
  }
  auto* listing = new Listing(list(node));
  info->fh = reinterpret_cast<uint64_t>(listing);
  if (fuse_reply_open(request, info) != 0) delete listing;
}

void read_directory(fuse_req_t request, fuse_ino_t number, size_t size,
                    off_t offset, fuse_file_info* info) {
  Listing& listing = *listing_of(info);
  const Node node = node_of(number);
  // From the beginning (rewinddir): as it is now.
  if (offset == 0 && online(node)) listing = list(node);
  std::vector<char> buffer(size);
  size_t used = 0;
  for (size_t i = static_cast<size_t>(offset); i < listing.size(); ++i) {
    const size_t wanted = fuse_add_direntry(
        request, &buffer[used], size - used, listing[i].name.c_str(),
        &listing[i].info, static_cast<off_t>(i) + 1);
    if (wanted > size - used) break;
    used += wanted;
  }
  fuse_reply_buf(request, buffer.data(), used);
}

void close_directory(fuse_req_t request, fuse_ino_t, fuse_file_info* info) {
  delete listing_of(info);
  fuse_reply_err(request, 0);
}

void make_directory(fuse_req_t request, fuse_ino_t parent, const char* name,
                    mode_t) {
  const Node directory = node_of(parent);
  const size_t length = std::strlen(name);
  uint32_t child = kNone;
  int error = 0;
  if (length >= kNameSize) {
    error = ENAMETOOLONG;
  } else if (find_row(directory.group, name) != nullptr) {
    error = EEXIST;
  } else if (const uint64_t id = id_of(directory); id != 0) {
    error = create_child(g_segment, directory.group, id, name, length, &child);
  } else {
    error = ENOENT;
  }
  if (error != 0) {
    fuse_reply_err(request, error);
  } else {
    answer_with(request, attributes(directory_of(child)));
  }
}

// What is inside does not matter if it is files.
void remove_directory(fuse_req_t request, fuse_ino_t parent, const char* name) {
  const Node directory = node_of(parent);
  const bool file =
      online(directory) && find_row(directory.group, name) != nullptr;
  const uint32_t child = file || !online(directory)
                             ? kNone
                             : find_child_surely(directory.group, name);
  const uint64_t id = child != kNone ? group_id(g_segment, child) : 0;
  int error = file ? ENOTDIR : ENOENT;
  if (id != 0) error = remove_group(g_segment, child, id);
  fuse_reply_err(request, error);
  if (error == 0) g_watcher.wake();
}

}  // namespace umemcg::cgroupfs
