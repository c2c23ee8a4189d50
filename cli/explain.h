// Why charges were refused, from what the segment has written down: the last
// refusals at a group's limit, who has most below it, and what would help.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "accounting/consumer.h"
#include "accounting/refusal.h"

namespace umemcg {

// One sentence, with the numbers of the moment.
using Advice = std::string;

struct Explanation {
  uint32_t group;  // whose limit refused
  std::string path;
  uint64_t refused;  // ever, and not let pass
  uint64_t passed;   // ever let over it: from the reserve, or forced
  int64_t limit, usage, cached;
  std::string policy;
  std::vector<RefusalView> refusals;  // the last, newest first
  std::vector<Consumer> consumers;    // largest first
  std::vector<Advice> advice;
};

// The groups of g_segment that have refused a charge: those in the subtree of
// `root`, and those above it, in whose limits it is.
std::vector<Explanation> explain_subtree(uint32_t root);

// The path of the group that has that id; "(removed)" if it is gone.
std::string path_of_id(uint64_t id);

// "python3 (123)".
std::string name_of_process(uint32_t process);

}  // namespace umemcg
