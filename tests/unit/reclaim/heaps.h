// The thread's heaps, for tests without mimalloc: what collecting them does is
// the test's choice.
#pragma once

#include <functional>

namespace umemcg {

extern std::function<void()> g_on_collect;

}  // namespace umemcg
