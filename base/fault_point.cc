#include "base/fault_point.h"

#ifdef UMEMCG_FAULT_POINTS
namespace umemcg {
namespace {
void do_nothing(const char*) {}
}  // namespace
constinit Hook<void(const char*)> g_fault_point_hook{do_nothing};
}  // namespace umemcg
#endif
