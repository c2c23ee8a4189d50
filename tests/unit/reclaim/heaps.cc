#include "tests/unit/reclaim/heaps.h"

#include "alloc/heap.h"
#include "alloc/zombie.h"

namespace umemcg {

std::function<void()> g_on_collect;

void collect_thread() {
  if (g_on_collect) g_on_collect();
}

bool give_back_records() { return false; }

}  // namespace umemcg
