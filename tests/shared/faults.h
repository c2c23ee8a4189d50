// What happens at the labelled points (base/fault_point.h) in a process of
// these tests: it dies there, or what a race would do is done there.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace umemcg::shared {

// From now on the process dies (SIGKILL) at its `passage`-th passage of the
// label, or of any label if it is null; the first is 1, and 0 is never.
void die_at(const char* label, uint32_t passage);

// After a step: if limits were lowered for the sake of a label, they are what
// they were.
void restore_limits();

// How often threads of this process have waited at the gate.
uint64_t gate_waits();

// All labels, as they stand in the sources below `directory`.
std::vector<std::string> labels_in(const std::string& directory);

}  // namespace umemcg::shared
