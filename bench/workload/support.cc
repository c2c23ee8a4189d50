#include "bench/workload/support.h"

#include <cstdio>

namespace umemcg {

void DieOutOfMemory(size_t size) {
  std::fprintf(stderr, "alloc_workload: out of memory: %zu bytes\n", size);
  std::exit(1);
}

}  // namespace umemcg
