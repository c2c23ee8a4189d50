// The malloc family. The hot ones are one jump: through a pointer that first
// leads to the start of umemcg, then straight to mimalloc; free goes straight
// to mimalloc always. The semantics are mimalloc's, which follows glibc; what
// it leaves open (errno, bad alignments) is settled here.

#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>

#include "alloc/attention.h"
#include "alloc/heap.h"
#include "alloc/mimalloc_calls.h"
#include "alloc/own_map.h"
#include "base/attributes.h"
#include "base/errno_saver.h"
#include "base/units.h"
#include "shim/init.h"
#include "shim/malloc_calls.h"

namespace umemcg {
namespace {

void use_allocator();

void* first_malloc(size_t size) {
  use_allocator();
  return mi_malloc(size);
}
void* first_calloc(size_t count, size_t size) {
  use_allocator();
  return mi_calloc(count, size);
}
void* first_realloc(void* block, size_t size) {
  use_allocator();
  return mi_realloc(block, size);
}

// Once a thread has had something to do before an allocation, or after it: see
// alloc/attention.h.
void* attentive_malloc(size_t size) {
  check_attention();
  void* block = mi_malloc(size);
  settle_attention();
  return block;
}
void* attentive_calloc(size_t count, size_t size) {
  check_attention();
  void* block = mi_calloc(count, size);
  settle_attention();
  return block;
}
void* attentive_realloc(void* block, size_t size) {
  check_attention();
  void* moved = mi_realloc(block, size);
  settle_attention();
  return moved;
}

// In a signal handler perhaps.
void be_attentive() {
  g_malloc_calls.malloc_call = attentive_malloc;
  g_malloc_calls.calloc_call = attentive_calloc;
  g_malloc_calls.realloc_call = attentive_realloc;
}

// While umemcg starts, its thread's own calls (there are none, but a later C
// library might make some) go to mimalloc as it is.
void use_allocator() {
  ensure_started();
  if (state() == State::kStarting || state() == State::kCold) return;
  if (g_malloc_calls.malloc_call != first_malloc) return;
  g_malloc_calls.malloc_call = mi_malloc;
  g_malloc_calls.calloc_call = mi_calloc;
  g_malloc_calls.realloc_call = mi_realloc;
  g_attention_hook.install(be_attentive);
}

UMEMCG_COLD void* refuse() {
  errno = ENOMEM;
  return nullptr;
}

constexpr bool is_power_of_two(size_t n) {
  return n != 0 && (n & (n - 1)) == 0;
}

// From this alignment on mimalloc maps a block by itself.
constexpr size_t kOwnMapAlignment = 128 * kKiB;

UMEMCG_FAST void* plain_aligned_malloc(size_t alignment, size_t size) {
  // mimalloc calls such a size EINVAL.
  if (UMEMCG_UNLIKELY(size > PTRDIFF_MAX)) return refuse();
  if (UMEMCG_LIKELY(alignment < kOwnMapAlignment)) {
    return mi_malloc_aligned(size, alignment);
  }
  OwnMapScope scope;
  return mi_malloc_aligned(size, alignment);
}

// The first allocation of all, or an attentive one.
UMEMCG_COLD void* attentive_aligned_malloc(size_t alignment, size_t size) {
  ensure_started();
  check_attention();
  void* block = plain_aligned_malloc(alignment, size);
  settle_attention();
  return block;
}

}  // namespace

constinit MallocCalls g_malloc_calls = {first_malloc, first_calloc,
                                        first_realloc};

void* aligned_malloc(size_t alignment, size_t size) {
  if (UMEMCG_UNLIKELY(g_malloc_calls.malloc_call != mi_malloc)) {
    return attentive_aligned_malloc(alignment, size);
  }
  return plain_aligned_malloc(alignment, size);
}

}  // namespace umemcg

using umemcg::aligned_malloc;
using umemcg::ErrnoSaver;
using umemcg::g_malloc_calls;
using umemcg::is_power_of_two;
using umemcg::kPageSize;
using umemcg::refuse;

extern "C" {

UMEMCG_EXPORT void* malloc(size_t size) {
  return g_malloc_calls.malloc_call(size);
}
UMEMCG_EXPORT void* calloc(size_t count, size_t size) {
  size_t bytes;
  if (UMEMCG_UNLIKELY(__builtin_mul_overflow(count, size, &bytes))) {
    return refuse();
  }
  return g_malloc_calls.calloc_call(1, bytes);
}
UMEMCG_EXPORT void* realloc(void* block, size_t size) {
  return g_malloc_calls.realloc_call(block, size);
}
UMEMCG_EXPORT void free(void* block) { mi_free(block); }

UMEMCG_EXPORT void* reallocarray(void* block, size_t count, size_t size) {
  size_t bytes;
  if (UMEMCG_UNLIKELY(__builtin_mul_overflow(count, size, &bytes))) {
    return refuse();
  }
  return g_malloc_calls.realloc_call(block, bytes);
}

UMEMCG_EXPORT int posix_memalign(void** block, size_t alignment, size_t size) {
  if (!is_power_of_two(alignment) || alignment % sizeof(void*) != 0) {
    return EINVAL;
  }
  ErrnoSaver saver;
  void* made = aligned_malloc(alignment, size);
  if (made == nullptr) return ENOMEM;
  *block = made;
  return 0;
}
UMEMCG_EXPORT void* aligned_alloc(size_t alignment, size_t size) {
  if (UMEMCG_UNLIKELY(!is_power_of_two(alignment))) {
    errno = EINVAL;
    return nullptr;
  }
  return aligned_malloc(alignment, size);
}
UMEMCG_EXPORT void* memalign(size_t alignment, size_t size) {
  return aligned_alloc(alignment, size);
}
UMEMCG_EXPORT void* valloc(size_t size) {
  return aligned_malloc(kPageSize, size);
}
UMEMCG_EXPORT void* pvalloc(size_t size) {
  if (UMEMCG_UNLIKELY(size > PTRDIFF_MAX)) return refuse();
  size_t rounded = umemcg::round_up(size, kPageSize);
  return aligned_malloc(kPageSize, rounded != 0 ? rounded : kPageSize);
}

UMEMCG_EXPORT size_t malloc_usable_size(void* block) {
  return mi_usable_size(block);
}
UMEMCG_EXPORT void free_sized(void* block, size_t) { mi_free(block); }
UMEMCG_EXPORT void free_aligned_sized(void* block, size_t, size_t) {
  mi_free(block);
}

}  // extern "C"
