#include "cli/group_tree.h"

#include <algorithm>
#include <cstring>
#include <map>

#include "accounting/mem_cgroup.h"
#include "cli/command.h"

namespace umemcg {
namespace {

using Children = std::map<uint32_t, std::vector<uint32_t>>;

std::string name_of(uint32_t group) {
  if (group == kRootGroup) return "/";
  const Group& row = *g_segment.group(group);
  return std::string(row.name, strnlen(row.name, kNameSize));
}

Children children_of_all() {
  Children children;
  for (uint32_t i = next_group(g_segment, kNone); i != kNone;
       i = next_group(g_segment, i)) {
    if (i != kRootGroup) children[parent_group(g_segment, i)].push_back(i);
  }
  for (auto& [parent, groups] : children) {
    std::sort(groups.begin(), groups.end(),
              [](uint32_t a, uint32_t b) { return name_of(a) < name_of(b); });
  }
  return children;
}

// Bounded by the depth: a damaged domain may hold a cycle.
void append(const Children& children, const TreeEntry& entry,
            std::vector<TreeEntry>* list) {
  list->push_back(entry);
  const auto below = children.find(entry.group);
  if (below == children.end() || entry.depth > kMaxDepth) return;
  for (uint32_t child : below->second) {
    const std::string name = name_of(child);
    const std::string path = (entry.path == "/" ? "" : entry.path) + "/" + name;
    append(children, {child, entry.depth + 1, path, name}, list);
  }
}

}  // namespace

std::vector<TreeEntry> list_subtree(uint32_t root) {
  std::vector<TreeEntry> list;
  append(children_of_all(), {root, 0, path_of_group(root), name_of(root)},
         &list);
  return list;
}

}  // namespace umemcg
