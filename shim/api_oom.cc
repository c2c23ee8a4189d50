// The public interface: the function that memory.oom.policy `callback` calls.

#include <errno.h>
#include <pthread.h>

#include "reclaim/oom.h"
#include "shim/api_error.h"
#include "shim/group_handle.h"

namespace umemcg {
namespace {

using Function = int (*)(umemcg_group*, size_t, void*);

void end_by_exit(void*) { abandon_oom_callback(); }

// As a shrinker is called (api_shrinker.cc): no cancellation point, and a
// function that ends the thread ends its call.
int call_function(const OomCallback& callback, Account& limiting,
                  int64_t pages) {
  const auto function = reinterpret_cast<Function>(callback.function);
  const size_t bytes = static_cast<size_t>(pages) << kPageShift;
  int cancel_state;
  ::pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
  int result;
  pthread_cleanup_push(end_by_exit, nullptr);
  result = function(handle_of(&limiting), bytes, callback.argument);
  pthread_cleanup_pop(0);
  ::pthread_setcancelstate(cancel_state, nullptr);
  return result;
}

}  // namespace
}  // namespace umemcg

using umemcg::accounted;
using umemcg::fail;

extern "C" {

UMEMCG_EXPORT int umemcg_oom_callback(int (*callback)(umemcg_group* group,
                                                      size_t bytes, void* arg),
                                      void* arg) {
  if (!accounted()) return fail(ENODEV);
  umemcg::OomCallback chosen = {nullptr, nullptr, nullptr};
  if (callback != nullptr) {
    chosen = {umemcg::call_function, reinterpret_cast<void (*)()>(callback),
              arg};
  }
  const int error = umemcg::set_oom_callback(chosen);
  return error == 0 ? 0 : fail(error);
}

}  // extern "C"
