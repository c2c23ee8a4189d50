// The heaps of a test without mimalloc: there is nothing to collect.

#include "alloc/heap.h"

namespace umemcg {

void collect_thread() {}

}  // namespace umemcg
