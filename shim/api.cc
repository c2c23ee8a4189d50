// The public C interface (include/umemcg/umemcg.h).

#include <errno.h>
#include <sys/types.h>

#include "accounting/control_file.h"
#include "alloc/fork.h"
#include "base/attributes.h"
#include "include/umemcg/umemcg.h"
#include "shim/init.h"
#include "stock/current.h"

extern "C" UMEMCG_EXPORT ssize_t umemcg_get(umemcg_group* group,
                                            const char* file, char* buf,
                                            size_t size) {
  using namespace umemcg;
  ensure_started();
  check_fork();
  Account* account = g_process_account.load(std::memory_order_acquire);
  if (state() != State::kReady || account == nullptr) {
    errno = ENODEV;
    return -1;
  }
  if (group != nullptr) {  // handles come with the group calls
    errno = EINVAL;
    return -1;
  }
  const ControlFile* row = find_control_file(file);
  if (row == nullptr) {
    errno = ENOENT;
    return -1;
  }
  char none[1];
  TextBuffer out(size != 0 ? buf : none, size != 0 ? size : sizeof(none));
  row->show(g_segment, account->group, out);
  return static_cast<ssize_t>(out.wanted());
}
