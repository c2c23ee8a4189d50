// The heaps of a test without mimalloc: there is nothing to collect.

#include "alloc/heap.h"
#include "alloc/zombie.h"

namespace umemcg {

void collect_thread() {}

bool give_back_records() { return false; }

}  // namespace umemcg
