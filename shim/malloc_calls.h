// Where the exported allocation functions jump to.
#pragma once

#include <cstddef>

namespace umemcg {

struct MallocCalls {
  void* (*malloc_call)(size_t);
  void* (*calloc_call)(size_t, size_t);
  void* (*realloc_call)(void*, size_t);
};
extern constinit MallocCalls g_malloc_calls;

// For a power of two alignment.
void* aligned_malloc(size_t alignment, size_t size);

}  // namespace umemcg
