#include "tests/unit/reclaim/heaps.h"

#include "alloc/heap.h"

namespace umemcg {

std::function<void()> g_on_collect;

void collect_thread() {
  if (g_on_collect) g_on_collect();
}

}  // namespace umemcg
