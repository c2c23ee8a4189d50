#include "shim/real.h"

#include <dlfcn.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

namespace umemcg {
namespace {

// Looked up on first use; several threads may do so at once and find the same.
template <typename Function>
Function next(std::atomic<Function>& cache, const char* name) {
  Function function = cache.load(std::memory_order_relaxed);
  if (function == nullptr) {
    function = reinterpret_cast<Function>(::dlsym(RTLD_NEXT, name));
    cache.store(function, std::memory_order_relaxed);
  }
  return function;
}

using PthreadCreate = int (*)(pthread_t*, const pthread_attr_t*,
                              void* (*)(void*), void*);
using ThrdCreate = int (*)(thrd_t*, thrd_start_t, void*);

constinit std::atomic<PthreadCreate> pthread_create_cache{nullptr};
constinit std::atomic<ThrdCreate> thrd_create_cache{nullptr};

}  // namespace

int real_pthread_create(pthread_t* thread, const pthread_attr_t* attributes,
                        void* (*start)(void*), void* argument) {
  PthreadCreate function = next(pthread_create_cache, "pthread_create");
  if (function == nullptr) return EAGAIN;
  return function(thread, attributes, start, argument);
}

int real_thrd_create(thrd_t* thread, thrd_start_t start, void* argument) {
  ThrdCreate function = next(thrd_create_cache, "thrd_create");
  if (function == nullptr) return thrd_error;
  return function(thread, start, argument);
}

int real_mlockall(int flags) {
  return static_cast<int>(::syscall(SYS_mlockall, flags));
}

// _dl_find_object takes no lock and allocates nothing.
const link_map* object_of(const void* address) {
  dl_find_object found;
  return _dl_find_object(const_cast<void*>(address), &found) == 0
             ? found.dlfo_link_map
             : nullptr;
}

void* bound_function(const char* name) { return ::dlsym(RTLD_DEFAULT, name); }

}  // namespace umemcg
