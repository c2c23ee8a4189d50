// Labelled places where a test build may kill the process: between two writes
// that belong together. In the library that ships they are nothing.
#pragma once

#ifdef UMEMCG_FAULT_POINTS
#include "base/hook.h"

namespace umemcg {
// Called at each point with its label; tests install what kills.
extern constinit Hook<void(const char*)> g_fault_point_hook;
inline void fault_point(const char* label) { g_fault_point_hook(label); }
}  // namespace umemcg
#else
namespace umemcg {
inline void fault_point(const char*) {}
}  // namespace umemcg
#endif
