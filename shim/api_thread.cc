// The public interface: whom a thread charges, and how.

#include <errno.h>

#include "alloc/fork.h"
#include "alloc/group_heap.h"
#include "shim/api_error.h"
#include "shim/group_handle.h"
#include "shim/init.h"
#include "stock/current.h"

namespace umemcg {
namespace {

static_assert(UMEMCG_NOWAIT == int{kChargeNoWait});
static_assert(UMEMCG_NORETRY == int{kChargeNoRetry});
static_assert(UMEMCG_RETRY_MAYFAIL == int{kChargeRetryMayFail});
static_assert(UMEMCG_NOFAIL == int{kChargeNoFail});

// What a signal handler may ask: nothing is started, no lock taken.
bool running() { return state() == State::kReady; }

// No handle of this process's own: none at all, one from before a fork, or one
// that is not valid.
UMEMCG_COLD int thread_set_slow(umemcg_group* group) {
  int error = 0;
  Account* account = account_behind(group, &error);
  if (account == nullptr) return fail(error);
  error = set_thread_group(account);
  // After a fork it is another group's account, if that of the handle is gone.
  if (error == 0 && MadeFor(*account_named(group)) != MadeFor(*account)) {
    error = ESTALE;
  }
  return error == 0 ? 0 : fail(error);
}

}  // namespace
}  // namespace umemcg

using umemcg::Account;
using umemcg::fail;

extern "C" {

// A few nanoseconds for a group the thread has used: the handle's checks, and
// one look at the thread's cache of theaps.
UMEMCG_EXPORT int umemcg_thread_set(umemcg_group* group,
                                    umemcg_group** previous) {
  umemcg::check_fork();
  if (previous != nullptr) {
    *previous = umemcg::handle_of(umemcg::t_context.tag);
  }
  Account* account = umemcg::account_named(group);
  if (UMEMCG_UNLIKELY(account == nullptr || umemcg::is_inherited(*account))) {
    if (group != nullptr) return umemcg::thread_set_slow(group);
    if (!umemcg::accounted()) return fail(ENODEV);
  }
  const int error = umemcg::set_thread_group(account);
  return UMEMCG_LIKELY(error == 0) ? 0 : fail(error);
}

UMEMCG_EXPORT umemcg_group* umemcg_thread_get(void) {
  return umemcg::handle_of(umemcg::thread_group());
}

UMEMCG_EXPORT int umemcg_thread_flags(int flags) {
  if ((flags & ~umemcg::kChargeFlags) != 0) return fail(EINVAL);
  if (!umemcg::running()) return fail(ENODEV);
  const int before = umemcg::t_context.flags;
  umemcg::t_context.flags = static_cast<uint8_t>(flags);
  return before;
}

UMEMCG_EXPORT int umemcg_active_begin(umemcg_group* group,
                                      umemcg_group** before) {
  *before = nullptr;
  if (!umemcg::running()) return fail(ENODEV);
  Account* account =
      group != nullptr ? umemcg::account_for_handler(group) : nullptr;
  Account* outer = umemcg::begin_active(account);
  *before = umemcg::handle_of(outer);
  if (UMEMCG_LIKELY(account != nullptr || group == nullptr)) return 0;
  umemcg::end_active(outer);
  return fail(EBADF);
}

UMEMCG_EXPORT void umemcg_active_end(umemcg_group* before) {
  if (!umemcg::running()) return;
  umemcg::end_active(umemcg::account_named(before));
}

}  // extern "C"
