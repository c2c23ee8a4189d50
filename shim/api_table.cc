#include "shim/api_table.h"

#include "alloc/mimalloc_calls.h"
#include "base/attributes.h"
#include "shim/malloc_calls.h"

namespace umemcg {
namespace {

void* allocate(size_t size) { return g_malloc_calls.malloc_call(size); }

}  // namespace
}  // namespace umemcg

extern "C" UMEMCG_EXPORT constexpr umemcg::ApiTable umemcg_api_v1 = {
    .size = sizeof(umemcg::ApiTable),
    .allocate = umemcg::allocate,
    .allocate_aligned = umemcg::aligned_malloc,
    .release = mi_free,
    .group_open = umemcg_group_open,
    .group_close = umemcg_group_close,
    .group_remove = umemcg_group_remove,
    .group_path = umemcg_group_path,
    .group_ino = umemcg_group_ino,
    .set = umemcg_set,
    .get = umemcg_get,
    .thread_set = umemcg_thread_set,
    .thread_get = umemcg_thread_get,
    .thread_flags = umemcg_thread_flags,
    .active_begin = umemcg_active_begin,
    .active_end = umemcg_active_end,
    .malloc_in = umemcg_malloc,
    .calloc_in = umemcg_calloc,
    .realloc_in = umemcg_realloc,
    .aligned_alloc_in = umemcg_aligned_alloc,
    .owner = umemcg_owner,
    .owner_ino = umemcg_owner_ino,
    .charge = umemcg_charge,
    .uncharge = umemcg_uncharge,
    .shrinker_register = umemcg_shrinker_register,
    .shrinker_unregister = umemcg_shrinker_unregister,
    .shrinker_read = umemcg_shrinker_read,
    .events_wait = umemcg_events_wait,
    .threshold_fd = umemcg_threshold_fd,
    .pressure_fd = umemcg_pressure_fd,
    .psi_fd = umemcg_psi_fd,
    .unlisten = umemcg_unlisten,
    .peak_open = umemcg_peak_open,
    .peak_read = umemcg_peak_read,
    .peak_reset = umemcg_peak_reset,
    .peak_close = umemcg_peak_close,
    .oom_callback = umemcg_oom_callback,
};
