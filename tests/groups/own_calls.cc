// The system calls that mimalloc makes itself, as shim/mmap.cc has them.

#include <errno.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "alloc/own_map.h"

// The thread sanitizer's runtime calls mmap before it is up, and so does
// mimalloc's constructor: until the test begins these are the system's. (The
// file is compiled without the sanitizer.)
#if defined(UMEMCG_TEST_LATE_CALLS)
namespace umemcg {
extern bool own_calls_begin;
bool own_calls_begin = false;
}  // namespace umemcg
#define IS_ALLOCATORS(caller) \
  (umemcg::own_calls_begin && umemcg::in_allocator(caller))
#else
#define IS_ALLOCATORS(caller) umemcg::in_allocator(caller)
#endif
#define CALLER() __builtin_return_address(0)

extern "C" {

void* mmap(void* hint, size_t size, int protection, int flags, int fd,
           off_t offset) noexcept {
  if (IS_ALLOCATORS(CALLER())) {
    return umemcg::allocator_mmap(hint, size, protection, flags, fd, offset);
  }
  long at = syscall(SYS_mmap, hint, size, protection, flags, fd, offset);
  return reinterpret_cast<void*>(at);
}

int munmap(void* address, size_t size) noexcept {
  if (IS_ALLOCATORS(CALLER())) {
    return umemcg::allocator_munmap(address, size);
  }
  return static_cast<int>(syscall(SYS_munmap, address, size));
}

int mprotect(void* address, size_t size, int protection) noexcept {
  if (IS_ALLOCATORS(CALLER())) {
    return umemcg::allocator_mprotect(address, size, protection);
  }
  return static_cast<int>(syscall(SYS_mprotect, address, size, protection));
}

}  // extern "C"
