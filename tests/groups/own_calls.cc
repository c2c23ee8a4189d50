// The system calls that mimalloc makes itself, as shim/mmap.cc has them.

#include <errno.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "alloc/own_map.h"

#define CALLER() __builtin_return_address(0)

extern "C" {

void* mmap(void* hint, size_t size, int protection, int flags, int fd,
           off_t offset) noexcept {
  if (umemcg::in_allocator(CALLER())) {
    return umemcg::allocator_mmap(hint, size, protection, flags, fd, offset);
  }
  long at = syscall(SYS_mmap, hint, size, protection, flags, fd, offset);
  return reinterpret_cast<void*>(at);
}

int munmap(void* address, size_t size) noexcept {
  if (umemcg::in_allocator(CALLER())) {
    return umemcg::allocator_munmap(address, size);
  }
  return static_cast<int>(syscall(SYS_munmap, address, size));
}

int mprotect(void* address, size_t size, int protection) noexcept {
  if (umemcg::in_allocator(CALLER())) {
    return umemcg::allocator_mprotect(address, size, protection);
  }
  return static_cast<int>(syscall(SYS_mprotect, address, size, protection));
}

}  // extern "C"
