// The public interface: shrinkers.

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "accounting/mem_cgroup.h"
#include "reclaim/shrinker.h"
#include "shim/api_error.h"
#include "shim/group_handle.h"

namespace umemcg {
namespace {

static_assert(UMEMCG_SHRINK_STOP == kShrinkStop);

// What a program of a later version says beyond what is known must be nothing.
constexpr size_t kLargestStruct = 4096;

bool all_zero(const void* from, size_t size) {
  const auto* bytes = static_cast<const unsigned char*>(from);
  for (size_t i = 0; i < size; ++i) {
    if (bytes[i] != 0) return false;
  }
  return true;
}

bool is_understood(const umemcg_shrinker* shrinker) {
  constexpr size_t kKnown = sizeof(umemcg_shrinker);
  if (shrinker == nullptr || shrinker->size < kKnown ||
      shrinker->size > kLargestStruct) {
    return false;
  }
  return shrinker->count != nullptr && shrinker->scan != nullptr &&
         all_zero(shrinker + 1, shrinker->size - kKnown);
}

void end_by_exit(void*) { abandon_shrinker_call(); }

// Whoever was not a cancellation point before is none with a shrinker either.
// A function that ends the thread ends its call.
size_t call_shrinker(const ShrinkerCallbacks& callbacks, ShrinkerStep step,
                     Account& account, size_t bytes) {
  umemcg_group* const group = handle_of(&account);
  int cancel_state;
  ::pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
  size_t result;
  pthread_cleanup_push(end_by_exit, nullptr);
  result = step == ShrinkerStep::kCount
               ? callbacks.count(group, callbacks.argument)
               : callbacks.scan(group, bytes, callbacks.argument);
  pthread_cleanup_pop(0);
  ::pthread_setcancelstate(cancel_state, nullptr);
  return result;
}

// 0 or an error number.
int register_for(umemcg_group* group, const umemcg_shrinker& shrinker,
                 int* id) {
  ShrinkerSpec spec = {{shrinker.count, shrinker.scan, shrinker.arg},
                       shrinker.name,
                       shrinker.cost,
                       shrinker.deadline_ms,
                       kNone,
                       0};
  if (group != nullptr) {
    const int error = group_behind(group, &spec.group);
    if (error != 0) return error;
    const Account* named = account_named(group);
    if (named == nullptr) return EBADF;
    spec.group_id = MadeFor(*named).id;
  }
  g_call_shrinker_hook.install(call_shrinker);
  return register_shrinker(spec, id);
}

}  // namespace
}  // namespace umemcg

using umemcg::accounted;
using umemcg::fail;

extern "C" {

UMEMCG_EXPORT int umemcg_shrinker_register(umemcg_group* group,
                                           const umemcg_shrinker* shrinker) {
  if (!umemcg::is_understood(shrinker)) return fail(EINVAL);
  if (!accounted()) return fail(ENODEV);
  int id = 0;
  const int error = umemcg::register_for(group, *shrinker, &id);
  return error == 0 ? id : fail(error);
}

UMEMCG_EXPORT int umemcg_shrinker_unregister(int id) {
  if (!accounted()) return fail(ENODEV);
  const int error = umemcg::unregister_shrinker(id);
  return error == 0 ? 0 : fail(error);
}

UMEMCG_EXPORT int umemcg_shrinker_read(int id, umemcg_shrinker_stats* stats) {
  if (stats == nullptr || stats->size < sizeof(*stats)) return fail(EINVAL);
  if (!accounted()) return fail(ENODEV);
  umemcg::ShrinkerStats found;
  const int error = umemcg::read_shrinker(id, &found);
  if (error != 0) return fail(error);
  *stats = {sizeof(*stats), found.counts,     found.scans,
            found.asked,    found.freed,      found.busy,
            found.overruns, found.longest_ns, found.pause_ms};
  return 0;
}

}  // extern "C"
