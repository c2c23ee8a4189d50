// The public interface: memory of a group, whose a block is, and charges for
// what is no block.

#include <errno.h>
#include <stdint.h>

#include "accounting/mem_cgroup.h"
#include "alloc/group_heap.h"
#include "alloc/mimalloc_calls.h"
#include "base/errno_saver.h"
#include "reclaim/charge_object.h"
#include "shim/api_error.h"
#include "shim/group_handle.h"
#include "shim/init.h"
#include "shim/malloc_calls.h"
#include "stock/current.h"

namespace umemcg {
namespace {

static_assert(UMEMCG_HEAP == static_cast<int>(Kind::kHeap));
static_assert(UMEMCG_MMAP == static_cast<int>(Kind::kMmap));
static_assert(UMEMCG_SHMEM == static_cast<int>(Kind::kShmem));
static_assert(UMEMCG_KMEM == static_cast<int>(Kind::kKmem));
static_assert(UMEMCG_SOCK == static_cast<int>(Kind::kSock));

// Allocates with `from_group(account)`, or, without a group or accounting, with
// `plain()`.
template <typename FromGroup, typename Plain>
UMEMCG_FAST void* allocate(umemcg_group* group, FromGroup from_group,
                           Plain plain) {
  if (group == nullptr) return plain();
  int error = 0;
  Account* account = account_behind(group, &error);
  if (UMEMCG_LIKELY(account != nullptr)) return from_group(*account);
  return error == ENODEV ? plain() : fail_null(error);
}

// Whether the account was not released while it was charged: nothing holds it
// but a handle that another thread may close once too often (or, in the child
// of a fork, a handle of its parent's). What is charged holds it from then on.
bool still_behind(umemcg_group* group, const Account& account) {
  // seq_cst: after the charge, as the release looks for charges after this.
  if (account.released.load(std::memory_order_seq_cst)) return false;
  int error = 0;
  return group == nullptr || account_behind(group, &error) == &account;
}

// 0 or an error number.
int charge(umemcg_group* group, int kind, size_t bytes, int flags) {
  if (kind < 0 || kind >= kKinds) return EINVAL;
  if ((flags & ~kChargeFlags) != 0 || bytes > PTRDIFF_MAX) return EINVAL;
  if (!config().account.has(static_cast<Kind>(kind))) return 0;
  for (;;) {
    int error = 0;
    Account* account = account_or_own(group, &error);
    if (account == nullptr) return error;
    error = charge_object(*account, static_cast<Kind>(kind), bytes,
                          static_cast<uint32_t>(flags));
    // A callback of reclaim has forked: nothing is charged to the parent's.
    if (UMEMCG_UNLIKELY(error != 0 && is_inherited(*account))) continue;
    if (error != 0 || UMEMCG_LIKELY(still_behind(group, *account))) {
      return error;
    }
    uncharge_object(*account, static_cast<Kind>(kind), bytes);
    sync_account(*account);  // its lock: until the release has ended
  }
}

}  // namespace
}  // namespace umemcg

using umemcg::Account;
using umemcg::fail_null;

extern "C" {

UMEMCG_EXPORT void* umemcg_malloc(umemcg_group* group, size_t size) {
  return umemcg::allocate(
      group, [=](Account& a) { return umemcg::group_malloc(a, size); },
      [=] { return umemcg::g_malloc_calls.malloc_call(size); });
}

UMEMCG_EXPORT void* umemcg_calloc(umemcg_group* group, size_t count,
                                  size_t size) {
  size_t bytes;
  if (__builtin_mul_overflow(count, size, &bytes)) return fail_null(ENOMEM);
  return umemcg::allocate(
      group, [=](Account& a) { return umemcg::group_calloc(a, 1, bytes); },
      [=] { return umemcg::g_malloc_calls.calloc_call(1, bytes); });
}

UMEMCG_EXPORT void* umemcg_realloc(umemcg_group* group, void* block,
                                   size_t size) {
  return umemcg::allocate(
      group, [=](Account& a) { return umemcg::group_realloc(a, block, size); },
      [=] { return umemcg::g_malloc_calls.realloc_call(block, size); });
}

UMEMCG_EXPORT void* umemcg_aligned_alloc(umemcg_group* group, size_t alignment,
                                         size_t size) {
  if (alignment == 0 || (alignment & (alignment - 1)) != 0) {
    return fail_null(EINVAL);
  }
  return umemcg::allocate(
      group,
      [=](Account& a) {
        return umemcg::group_aligned_alloc(a, alignment, size);
      },
      [=] { return umemcg::aligned_malloc(alignment, size); });
}

UMEMCG_EXPORT void umemcg_free(void* block) { mi_free(block); }

UMEMCG_EXPORT umemcg_group* umemcg_owner(const void* block) {
  Account* account = umemcg::owner_of(block);
  return account != nullptr ? umemcg::owner_handle(*account) : nullptr;
}

UMEMCG_EXPORT uint64_t umemcg_owner_ino(const void* address) {
  const Account* account = umemcg::owner_of(address);
  return account != nullptr ? umemcg::owner_ino(*account) : 0;
}

UMEMCG_EXPORT int umemcg_charge(umemcg_group* group, int kind, size_t bytes,
                                int flags) {
  int error = umemcg::charge(group, kind, bytes, flags);
  return error == 0 ? 0 : umemcg::fail(error);
}

UMEMCG_EXPORT void umemcg_uncharge(umemcg_group* group, int kind,
                                   size_t bytes) {
  if (kind < 0 || kind >= umemcg::kKinds || bytes > PTRDIFF_MAX) return;
  if (!umemcg::config().account.has(static_cast<umemcg::Kind>(kind))) return;
  umemcg::ErrnoSaver saver;
  int error = 0;
  Account* account = umemcg::account_or_own(group, &error);
  if (account == nullptr) return;
  umemcg::uncharge_object(*account, static_cast<umemcg::Kind>(kind), bytes);
}

}  // extern "C"
