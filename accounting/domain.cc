#include "accounting/domain.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "accounting/stock_word.h"
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

int attach_domain(Segment& segment, const char* name, const char** why) {
  Line path;
  domain_path(name, path);
  *why = "has a name that is too long";
  if (path.wanted() != path.length()) return ENAMETOOLONG;
  return segment.attach_file(path.c_str(), why);
}

int join_domain(Segment& segment, const char* name, const char** why,
                const SegmentSizes& sizes) {
  int error = 0;
  // Again if another process makes it, or removes it, at this moment.
  for (int tries = 0; tries < 10; ++tries) {
    error = attach_domain(segment, name, why);
    if (error != ENOENT) return error;
    if (std::strchr(name, '/') == nullptr) {
      *why = "cannot be made: its directory is missing or not private";
      error = make_domain_directory();
      if (error != 0) return error;
    }
    *why = "cannot be made";
    Line path;
    domain_path(name, path);
    error = segment.create_file(path.c_str(), sizes);
    if (error != EEXIST) return error;
  }
  return error;
}

SegmentSizes sizes_for_groups(uint32_t groups) {
  SegmentSizes sizes;
  sizes.groups = groups + 1;
  // Four processes in each group, on average.
  const uint64_t ledgers = uint64_t{4} * groups;
  if (ledgers > sizes.ledgers) {
    sizes.ledgers =
        ledgers < kMostLedgers ? static_cast<uint32_t>(ledgers) : kMostLedgers;
  }
  return sizes;
}

}  // namespace umemcg
