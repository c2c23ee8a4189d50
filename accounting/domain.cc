#include "accounting/domain.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/errno_saver.h"

namespace umemcg {
namespace {

void directory_path(TextBuffer& out) {
  out.text("/dev/shm/umemcg-").number(::geteuid());
}

}  // namespace

void domain_path(const char* name, TextBuffer& out) {
  if (std::strchr(name, '/') == nullptr) {
    directory_path(out);
    out.character('/');
  }
  out.text(name);
}

int make_domain_directory() {
  Line path;
  directory_path(path);
  ErrnoSaver saver;
  if (::mkdir(path.c_str(), 0700) == 0) return 0;
  if (errno != EEXIST) return errno;
  struct stat info;
  if (::lstat(path.c_str(), &info) != 0) return errno;
  bool ours = S_ISDIR(info.st_mode) && info.st_uid == ::geteuid() &&
              (info.st_mode & 022) == 0;
  return ours ? 0 : EACCES;
}

int join_domain(Segment& segment, const char* name, const char** why) {
  Line path;
  domain_path(name, path);
  *why = "has a name that is too long";
  if (path.wanted() != path.length()) return ENAMETOOLONG;
  int error = 0;
  // Again if another process makes it, or removes it, at this moment.
  for (int tries = 0; tries < 10; ++tries) {
    error = segment.attach_file(path.c_str(), why);
    if (error != ENOENT) return error;
    if (std::strchr(name, '/') == nullptr) {
      *why = "cannot be made: its directory is missing or not private";
      error = make_domain_directory();
      if (error != 0) return error;
    }
    *why = "cannot be made";
    error = segment.create_file(path.c_str(), SegmentSizes{});
    if (error != EEXIST) return error;
  }
  return error;
}

}  // namespace umemcg
