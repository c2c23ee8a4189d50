// The interposed system calls. What mimalloc calls itself is accounted; what
// the program calls passes by as the plain system call.

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "alloc/own_map.h"
#include "base/attributes.h"
#include "shim/init.h"
#include "shim/real.h"

#define UMEMCG_CALLER() __builtin_return_address(0)

extern "C" {

UMEMCG_EXPORT void* mmap(void* hint, size_t size, int protection, int flags,
                         int fd, off_t offset) {
  if (UMEMCG_UNLIKELY(umemcg::in_allocator(UMEMCG_CALLER()))) {
    return umemcg::allocator_mmap(hint, size, protection, flags, fd, offset);
  }
  long at = syscall(SYS_mmap, hint, size, protection, flags, fd, offset);
  return reinterpret_cast<void*>(at);
}

UMEMCG_EXPORT int munmap(void* address, size_t size) {
  if (UMEMCG_UNLIKELY(umemcg::in_allocator(UMEMCG_CALLER()))) {
    return umemcg::allocator_munmap(address, size);
  }
  return static_cast<int>(syscall(SYS_munmap, address, size));
}

UMEMCG_EXPORT int mprotect(void* address, size_t size, int protection) {
  if (UMEMCG_UNLIKELY(umemcg::in_allocator(UMEMCG_CALLER()))) {
    return umemcg::allocator_mprotect(address, size, protection);
  }
  return static_cast<int>(syscall(SYS_mprotect, address, size, protection));
}

// mimalloc names its mappings this way, after each mmap. A kernel without that
// leaves EINVAL in errno, and the malloc that mapped has succeeded.
UMEMCG_EXPORT int prctl(int option, ...) {
  va_list list;
  va_start(list, option);
  unsigned long arguments[4];
  for (unsigned long& argument : arguments) {
    argument = va_arg(list, unsigned long);
  }
  va_end(list);
  const bool ours = umemcg::in_allocator(UMEMCG_CALLER());
  const int before = errno;
  long result = syscall(SYS_prctl, option, arguments[0], arguments[1],
                        arguments[2], arguments[3]);
  if (ours) errno = before;
  return static_cast<int>(result);
}

// Locking would populate whole ranges, free memory and all: lock what is
// touched instead, when it is touched.
UMEMCG_EXPORT int mlockall(int flags) {
  const bool ours = umemcg::state() == umemcg::State::kReady;
  const bool whole = (flags & (MCL_CURRENT | MCL_FUTURE)) != 0;
  return umemcg::real_mlockall(ours && whole ? flags | MCL_ONFAULT : flags);
}

}  // extern "C"
