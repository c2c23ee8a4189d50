// cgroup.event_control of cgroup v1: "EVENTFD FD ARGUMENTS" has an eventfd of
// the writer's told of what another open file of the group stands for:
//
//   memory.usage_in_bytes and memory.memsw.usage_in_bytes BYTES
//              the usage crosses that threshold, up or down
//   memory.oom_control
//              the group, or one above it, is out of memory
//   memory.pressure_level low|medium|critical[,default|hierarchy|local]
//              windows of that pressure have ended
//
// The daemon takes a copy of the eventfd out of the writer (pidfd_getfd), which
// needs the right to trace it: the owner and root have it as a rule. Having a
// copy it is not told when the writer closes its own, so it looks now and then.
#pragma once

#include <string>

#include "cli/mount/node.h"

namespace umemcg::cgroupfs {

// What was written to that group's file by that thread. 0 or an error number:
// EINVAL (not so many words, not an eventfd, not such a file of that group),
// EBADF, EPERM (the writer may not be traced), ENOSPC.
int add_event(const Node& node, const std::string& value, pid_t thread);

// A look: tells what is to be told, and drops those whose writers have closed
// their eventfd or ended. False if there is nothing to look at.
bool look_at_events(uint64_t now_ns);

}  // namespace umemcg::cgroupfs
