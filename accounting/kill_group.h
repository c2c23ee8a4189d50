// cgroup.kill: SIGKILL for all processes of a group and of those below, and for
// whoever joins meanwhile.
#pragma once

#include <cstdint>

#include "accounting/control_file.h"
#include "accounting/segment.h"

namespace umemcg {

// Returns when they are gone, or after kMostKillMs; the calling process, if it
// is among them, is killed last. 0, or EPERM: there is one left that cannot be
// held (held_process.h). A writer that is another process, and among them, is
// not waited for: it ends when it has the answer.
int kill_group(Segment& segment, uint32_t group, const Writer& writer);
inline constexpr uint32_t kMostKillMs = 2000;

}  // namespace umemcg
