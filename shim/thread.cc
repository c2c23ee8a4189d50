// A new thread starts in its creator's group: in the one that its creator was
// put into, or else it follows the process as its creator does.

#include <errno.h>
#include <pthread.h>
#include <threads.h>

#include "alloc/fork.h"
#include "alloc/mimalloc_calls.h"
#include "base/attributes.h"
#include "shim/init.h"
#include "shim/lifecycle.h"
#include "shim/malloc_calls.h"
#include "shim/real.h"
#include "stock/current.h"

namespace umemcg {
namespace {

template <typename Result>
struct Start {
  Result (*function)(void*);
  void* argument;
  Account* tag;  // with a reference
};

template <typename Result>
Result run_thread(void* argument) {
  auto* start = static_cast<Start<Result>*>(argument);
  const Start<Result> copy = *start;
  begin_thread(copy.tag);
  mi_free(start);
  Result result;
  // Also when the function ends by pthread_exit or is cancelled.
  pthread_cleanup_push([](void*) { leave_thread(); }, nullptr);
  result = copy.function(copy.argument);
  pthread_cleanup_pop(1);
  return result;
}

// Calls `create` with a record for the new thread; `refused` without memory
// for one.
template <typename Result, typename Create>
int start_thread(Result (*function)(void*), void* argument, int refused,
                 Create create) {
  // The child of a fork is to notice while it is one thread.
  check_fork();
  auto* start = static_cast<Start<Result>*>(
      g_malloc_calls.malloc_call(sizeof(Start<Result>)));
  if (start == nullptr) return refused;
  Account* tag = t_context.tag;
  if (tag != nullptr && !account_get(*tag)) tag = nullptr;
  *start = {function, argument, tag};
  int error = create(run_thread<Result>, start);
  if (error == 0) return 0;
  if (tag != nullptr) account_put(*tag);
  mi_free(start);
  return error;
}

}  // namespace
}  // namespace umemcg

extern "C" {

UMEMCG_EXPORT int pthread_create(pthread_t* thread,
                                 const pthread_attr_t* attributes,
                                 void* (*function)(void*), void* argument) {
  return umemcg::start_thread<void*>(
      function, argument, EAGAIN, [&](void* (*run)(void*), void* start) {
        return umemcg::real_pthread_create(thread, attributes, run, start);
      });
}

UMEMCG_EXPORT int thrd_create(thrd_t* thread, thrd_start_t function,
                              void* argument) {
  return umemcg::start_thread<int>(
      function, argument, thrd_nomem, [&](thrd_start_t run, void* start) {
        return umemcg::real_thrd_create(thread, run, start);
      });
}

}  // extern "C"
