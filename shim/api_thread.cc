// The public interface: whom a thread charges, and how.

#include <errno.h>

#include "alloc/fork.h"
#include "alloc/group_heap.h"
#include "alloc/switch.h"
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

// What is not a group whose theap the thread has. (After a fork it is another
// group's account that serves the handle, if that of the handle is gone.)
UMEMCG_COLD int thread_set_slow(umemcg_group* group) {
  int error = 0;
  Account* account = account_behind(group, &error);
  const Account* named = account_named(group);
  if (account == nullptr || named == nullptr) {
    return fail(account == nullptr ? error : EBADF);
  }
  const MadeFor wanted(*named);
  error = set_thread_group(account);
  if (error == 0 && wanted != MadeFor(*account)) error = ESTALE;
  return error == 0 ? 0 : fail(error);
}

// Back into the process's.
int thread_unset() {
  if (UMEMCG_UNLIKELY(!accounted())) return fail(ENODEV);
  const int error = set_thread_group(nullptr);
  return UMEMCG_LIKELY(error == 0) ? 0 : fail(error);
}

}  // namespace
}  // namespace umemcg

using umemcg::Account;
using umemcg::fail;

extern "C" {

// A few nanoseconds for a group the thread has used: one look at the thread's
// cache of theaps, which knows valid handles.
UMEMCG_EXPORT int umemcg_thread_set(umemcg_group* group,
                                    umemcg_group** previous) {
  umemcg::check_fork();
  if (previous != nullptr) {
    *previous = umemcg::handle_of(umemcg::t_context.tag);
  }
  if (group == nullptr) return umemcg::thread_unset();
  const bool done = umemcg::switch_to_known(umemcg::name_in(group));
  return UMEMCG_LIKELY(done) ? 0 : umemcg::thread_set_slow(group);
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
  umemcg_group* unused;
  if (before == nullptr) before = &unused;
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
  umemcg::end_active(umemcg::account_for_handler(before));
}

}  // extern "C"
