// The groups of a domain in the order of a tree.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace umemcg {

struct TreeEntry {
  uint32_t group;
  unsigned depth;    // below the group that was asked for
  std::string path;  // the whole of it
  std::string name;  // its last part; "/" for the root
};

// The groups of g_segment from `root` down: parents before children, siblings
// by name.
std::vector<TreeEntry> list_subtree(uint32_t root);

}  // namespace umemcg
