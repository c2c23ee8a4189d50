// What the files that notify say, as numbers that change when they do: cheap
// enough for many files every few milliseconds.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "cli/mount/node.h"

namespace umemcg::cgroupfs {

// memory.events, memory.events.local, cgroup.events.
bool notifies(const Node& node);

// One look: what is asked for many groups is found out once.
class NotedValues {
 public:
  uint64_t of(const Node& node);

 private:
  // Groups with live processes, here or below.
  const std::vector<bool>& populated();

  std::optional<std::vector<bool>> populated_;
};

}  // namespace umemcg::cgroupfs
