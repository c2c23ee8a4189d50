// The public interface: groups and their control files.

#include <errno.h>
#include <string.h>
#include <sys/types.h>

#include "accounting/control_file.h"
#include "accounting/mem_cgroup.h"
#include "alloc/group_heap.h"
#include "base/errno_saver.h"
#include "shim/api_error.h"
#include "shim/group_handle.h"

namespace umemcg {
namespace {

// Finds or makes the group. 0 or an error number.
int look_up(const char* path, int flags, uint32_t* group) {
  int error = check_group_path(path);
  if (error != 0) return error;
  if ((flags & UMEMCG_CREATE) == 0) {
    *group = find_group(g_segment, path);
    return *group != kNone ? 0 : ENOENT;
  }
  bool made = false;
  error = create_group(g_segment, path, group, &made);
  if (error != 0) return error;
  return !made && (flags & UMEMCG_EXCL) != 0 ? EEXIST : 0;
}

// An account of the group with a reference, or null: *error is ENOENT if the
// group was removed meanwhile.
Account* referenced_account(uint32_t group, int* error) {
  const MadeFor wanted(group, group_id(g_segment, group));
  Account* account = account_of(group);
  *error = account != nullptr ? ENOENT : ENOMEM;
  const bool had = account != nullptr && take_reference(*account);
  if (had && MadeFor(*account) == wanted) return account;
  if (had) drop_reference(*account);
  return nullptr;
}

umemcg_group* open_group(const char* path, int flags) {
  // A group may be removed while it is opened: it is looked up again then.
  constexpr int kTries = 16;
  int error = ENOENT;
  for (int i = 0; i < kTries; ++i) {
    uint32_t group;
    error = look_up(path, flags, &group);
    if (error != 0) break;
    Account* account = referenced_account(group, &error);
    if (account != nullptr) return handle_of(account);
    if (error != ENOENT) break;
  }
  return fail_null(error);
}

int remove_path(const char* path) {
  int error = check_group_path(path);
  if (error != 0) return error;
  error = remove_group_at(g_segment, path);
  // What this process holds of it is the parent's from here on.
  if (error == 0) sync_thread();
  return error;
}

// The row of a file that the group has. 0 or an error number.
int file_of(umemcg_group* handle, const char* name, uint32_t* group,
            const ControlFile** file) {
  int error = group_behind(handle, group);
  if (error != 0) return error;
  *file = find_control_file(name);
  const bool there =
      *file != nullptr && has_control_file(g_segment, *group, **file);
  return there ? 0 : ENOENT;
}

}  // namespace
}  // namespace umemcg

using umemcg::accounted;
using umemcg::fail;
using umemcg::fail_null;
using umemcg::g_segment;

extern "C" {

UMEMCG_EXPORT umemcg_group* umemcg_group_open(const char* path, int flags) {
  constexpr int kKnown = UMEMCG_CREATE | UMEMCG_EXCL;
  if (path == nullptr || (flags & ~kKnown) != 0) return fail_null(EINVAL);
  if (!accounted()) return fail_null(ENODEV);
  umemcg::sync_thread();
  return umemcg::open_group(path, flags);
}

UMEMCG_EXPORT void umemcg_group_close(umemcg_group* group) {
  // (In the child of a fork the account is its parent's: seen to first.)
  umemcg::ErrnoSaver saver;
  if (!accounted()) return;
  umemcg::Account* account = umemcg::account_named(group);
  if (account != nullptr) umemcg::drop_reference(*account);
}

UMEMCG_EXPORT int umemcg_group_remove(const char* path) {
  if (path == nullptr) return fail(EINVAL);
  if (!accounted()) return fail(ENODEV);
  int error = umemcg::remove_path(path);
  return error == 0 ? 0 : fail(error);
}

UMEMCG_EXPORT const char* umemcg_group_path(umemcg_group* group, char* buf,
                                            size_t size) {
  if (buf == nullptr) return fail_null(EINVAL);
  uint32_t index;
  int error = umemcg::group_behind(group, &index);
  if (error != 0) return fail_null(error);
  if (size == 0) return fail_null(ERANGE);
  umemcg::TextBuffer out(buf, size);
  umemcg::group_path(g_segment, index, out);
  return out.wanted() == out.length() ? buf : fail_null(ERANGE);
}

UMEMCG_EXPORT uint64_t umemcg_group_ino(umemcg_group* group) {
  int error = 0;
  umemcg::Account* account = umemcg::account_or_own(group, &error);
  if (account == nullptr) return fail_null(error), 0;
  // What the handle was made for, inherited or not.
  if (group != nullptr) account = umemcg::account_named(group);
  return account != nullptr ? umemcg::MadeFor(*account).id : 0;
}

UMEMCG_EXPORT int umemcg_set(umemcg_group* group, const char* file,
                             const char* value) {
  if (file == nullptr || value == nullptr) return fail(EINVAL);
  uint32_t index;
  const umemcg::ControlFile* row = nullptr;
  int error = umemcg::file_of(group, file, &index, &row);
  if (error == 0) {
    error = row->store(g_segment, index, value, strlen(value));
  }
  return error == 0 ? 0 : fail(error);
}

UMEMCG_EXPORT ssize_t umemcg_get(umemcg_group* group, const char* file,
                                 char* buf, size_t size) {
  if (file == nullptr || (buf == nullptr && size != 0)) return fail(EINVAL);
  uint32_t index;
  const umemcg::ControlFile* row = nullptr;
  int error = umemcg::file_of(group, file, &index, &row);
  if (error == 0 && row->show == nullptr) error = EINVAL;
  if (error != 0) return fail(error);
  char none[1];
  umemcg::TextBuffer out(size != 0 ? buf : none, size != 0 ? size : 1);
  row->show(g_segment, index, out);
  // A group that was removed while it was read may have shown another's.
  error = umemcg::group_behind(group, &index);
  return error == 0 ? static_cast<ssize_t>(out.wanted()) : fail(error);
}

}  // extern "C"
