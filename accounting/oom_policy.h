// memory.oom.policy: what happens when a charge finds nothing to reclaim.
//
//   fail      the allocation fails with ENOMEM
//   kill      a process of the subtree is killed, as by the kernel
//   callback  the program's own function decides (fail if it has none)
//   wait [MS] the allocation waits until there is room, MS at most (10000)
//
// A new group has its parent's; the policy of the group whose limit refuses
// counts.
#pragma once

#include <cstdint>

#include "accounting/layout.h"
#include "base/text.h"

namespace umemcg {

inline constexpr uint32_t kDefaultOomWaitMs = 10'000;
inline constexpr uint32_t kMostOomWaitMs = 86'400'000;

// 0 or EINVAL.
int parse_oom_policy(const char* text, OomPolicy* policy, uint32_t* wait_ms);
// The same, stored in the group; 0 or EINVAL.
int set_oom_policy(Group& group, const char* text);
// As it would be written.
void print_oom_policy(const Group& group, TextBuffer& out);

}  // namespace umemcg
