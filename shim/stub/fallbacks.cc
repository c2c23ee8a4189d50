// What the functions of umemcg.h are without libumemcg.so.

#include <cerrno>
#include <cstdlib>

#include "shim/stub/table.h"

namespace umemcg::stub {
namespace {

// Fails, as a function of any signature that returns one of these.
template <typename Result, Result kFailed, typename... Args>
Result unsupported(Args...) {
  errno = ENOSYS;
  return kFailed;
}

void* malloc_in(umemcg_group*, size_t size) { return std::malloc(size); }
void* calloc_in(umemcg_group*, size_t count, size_t size) {
  return std::calloc(count, size);
}
void* realloc_in(umemcg_group*, void* block, size_t size) {
  return std::realloc(block, size);
}
void* aligned(size_t alignment, size_t size) {
  if (alignment == 0 || (alignment & (alignment - 1)) != 0) {
    errno = EINVAL;
    return nullptr;
  }
  return std::aligned_alloc(alignment, size);
}
void* aligned_alloc_in(umemcg_group*, size_t alignment, size_t size) {
  return aligned(alignment, size);
}

void nothing(umemcg_group*) {}
void nothing_of_a_kind(umemcg_group*, int, size_t) {}

int thread_set(umemcg_group*, umemcg_group** previous) {
  if (previous != nullptr) *previous = nullptr;
  errno = ENOSYS;
  return -1;
}

// There is no scope to begin, but its end may be told.
int active_begin(umemcg_group*, umemcg_group** before) {
  if (before != nullptr) *before = nullptr;
  errno = ENOSYS;
  return -1;
}

}  // namespace

constexpr ApiTable kFallbacks = {
    .size = sizeof(ApiTable),
    .allocate = std::malloc,
    .allocate_aligned = aligned,
    .release = std::free,
    .group_open = unsupported<umemcg_group*, nullptr>,
    .group_close = nothing,
    .group_remove = unsupported<int, -1>,
    .group_path = unsupported<const char*, nullptr>,
    .group_ino = unsupported<uint64_t, 0>,
    .set = unsupported<int, -1>,
    .get = unsupported<ssize_t, -1>,
    .thread_set = thread_set,
    .thread_get = unsupported<umemcg_group*, nullptr>,
    .thread_flags = unsupported<int, -1>,
    .active_begin = active_begin,
    .active_end = nothing,
    .malloc_in = malloc_in,
    .calloc_in = calloc_in,
    .realloc_in = realloc_in,
    .aligned_alloc_in = aligned_alloc_in,
    .owner = unsupported<umemcg_group*, nullptr>,
    .owner_ino = unsupported<uint64_t, 0>,
    .charge = unsupported<int, -1>,
    .uncharge = nothing_of_a_kind,
    .shrinker_register = unsupported<int, -1>,
    .shrinker_unregister = unsupported<int, -1>,
    .shrinker_read = unsupported<int, -1>,
    .events_wait = unsupported<int, -1>,
    .threshold_fd = unsupported<int, -1>,
    .pressure_fd = unsupported<int, -1>,
    .psi_fd = unsupported<int, -1>,
    .unlisten = unsupported<int, -1>,
    .peak_open = unsupported<int, -1>,
    .peak_read = unsupported<int64_t, -1>,
    .peak_reset = unsupported<int, -1>,
    .peak_close = unsupported<int, -1>,
    .oom_callback = unsupported<int, -1>,
};

}  // namespace umemcg::stub
