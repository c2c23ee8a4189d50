// The nodes of the mounted tree: a group's directory, or a control file in it.
//
// A node's number says all of it, so there is no table of nodes: what fits of
// the group's id (36 bits), its row (20 bits), and the file's place in the
// table of control files + 1 (8 bits; 0 is the directory). A row that is
// another group's later gives other numbers.
#pragma once

#include <sys/stat.h>

#include <cstdint>

#include "accounting/control_file.h"
#include "cli/mount/fuse.h"

namespace umemcg::cgroupfs {

struct Node {
  uint32_t group = 0;
  uint64_t id = 0;    // of the group: what fits of it
  unsigned file = 0;  // + 1; 0: the directory
};

// The directory in which those that are gone have a name for a moment
// (watcher.h). Nobody else finds it.
inline constexpr fuse_ino_t kGraveyard = FUSE_ROOT_ID + 1;
inline constexpr char kGraveyardName[] = ".umemcg-gone";

fuse_ino_t number_of(const Node& node);
Node node_of(fuse_ino_t number);

// Node of the group's directory, and of a file in it.
Node directory_of(uint32_t group);
Node file_in(const Node& directory, const ControlFile& row);

// Whether the group is there, and still the same; its whole id, or 0.
bool online(const Node& node);
uint64_t id_of(const Node& node);

// What all nodes share; set once, before the first request.
struct View {
  Hierarchy hierarchy = Hierarchy::kV2;
  uid_t owner = 0;
  gid_t group = 0;
  timespec since = {};
};
extern View g_view;

// The row of a file's node; null for a directory, or if there is none.
const ControlFile* row_of(const Node& node);

// The row of that name, if the group has it.
const ControlFile* find_row(uint32_t group, const char* name);

// Files that the mount does something with itself.
bool is_named(const Node& node, const char* name);

// What stat(2) says.
struct stat attributes(const Node& node);

}  // namespace umemcg::cgroupfs
