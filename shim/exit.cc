// The end of the process: from exit(), quick_exit() or abort() on, and from the
// return from main(), what it charges is not refused any more (within
// kMostForcedPages), so that its handlers can save and say what they have to.
//
// A return from main() goes by none of these names. The C library first runs
// the main thread's destructors of thread-local objects, so one of them is
// ours. It runs them nowhere else: not when main() ends by pthread_exit and the
// process goes on with its other threads. When the last of those ends, nothing
// is marked until the library's own destructor.

#include <dlfcn.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>

#include "accounting/victim.h"
#include "alloc/heap.h"
#include "base/attributes.h"
#include "base/sys.h"
#include "shim/init.h"
#include "shim/lifecycle.h"

extern "C" {
extern void* __dso_handle;
int __cxa_thread_atexit_impl(void (*)(void*), void*, void*)
    __attribute__((weak));
}

namespace umemcg {
namespace {

using Exit = void (*)(int);
using Abort = void (*)();

// The next definitions, looked up while the program starts: abort() may be
// called with the dynamic linker's lock held.
constinit std::atomic<Exit> next_exit{nullptr};
constinit std::atomic<Exit> next_quick_exit{nullptr};
constinit std::atomic<Abort> next_abort{nullptr};

template <typename Function>
Function next(std::atomic<Function>& cache, const char* name) {
  Function function = cache.load(std::memory_order_relaxed);
  if (function == nullptr) {
    function = reinterpret_cast<Function>(::dlsym(RTLD_NEXT, name));
    cache.store(function, std::memory_order_relaxed);
  }
  return function;
}

void main_thread_ends(void*) { process_exits(); }

}  // namespace

void process_exits() {
  if (state() == State::kReady) mark_exiting();
}

void watch_for_exit() {
  next(next_exit, "exit");
  next(next_quick_exit, "quick_exit");
  next(next_abort, "abort");
  // (It allocates, and ends the process if it cannot: not at a limit.)
  if (__cxa_thread_atexit_impl != nullptr && state() == State::kReady &&
      sys::thread_id() == sys::process_id()) {
    as_records([] {
      return __cxa_thread_atexit_impl(main_thread_ends, nullptr,
                                      &__dso_handle) == 0;
    });
  }
}

}  // namespace umemcg

extern "C" {

UMEMCG_EXPORT void exit(int status) {
  umemcg::process_exits();
  umemcg::Exit real = umemcg::next(umemcg::next_exit, "exit");
  if (real != nullptr) real(status);
  for (;;) ::_exit(status);
}

UMEMCG_EXPORT void quick_exit(int status) noexcept {
  umemcg::process_exits();
  umemcg::Exit real = umemcg::next(umemcg::next_quick_exit, "quick_exit");
  if (real != nullptr) real(status);
  for (;;) ::_exit(status);
}

UMEMCG_EXPORT void abort() noexcept {
  umemcg::process_exits();
  umemcg::Abort real = umemcg::next(umemcg::next_abort, "abort");
  if (real != nullptr) real();
  for (;;) __builtin_trap();
}

}  // extern "C"
