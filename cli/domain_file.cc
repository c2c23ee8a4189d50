#include "cli/domain_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ctime>
#include <filesystem>
#include <system_error>

#include "accounting/segment.h"

namespace umemcg {
namespace {

namespace fs = std::filesystem;

// `umemcg run` itself holds the byte before the first process's.
constexpr off_t kRunByte = slot_lock_offset(0) - 1;
// Made so recently, a domain may not be locked yet.
constexpr time_t kYoungSeconds = 10;

bool remove_if_stale(const fs::path& path) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return false;
  struct stat info;
  const bool old = ::fstat(fd, &info) == 0 &&
                   ::time(nullptr) - info.st_ctime > kYoungSeconds;
  const bool removed = old && !domain_in_use(fd) && ::unlink(path.c_str()) == 0;
  ::close(fd);
  return removed;
}

}  // namespace

bool hold_domain(int fd) {
  struct flock lock = {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = kRunByte;
  lock.l_len = 1;
  return ::fcntl(fd, F_OFD_SETLK, &lock) == 0;
}

bool domain_in_use(int fd) {
  struct flock lock = {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = kRunByte;
  lock.l_len = 0;  // and all after it
  return ::fcntl(fd, F_OFD_GETLK, &lock) != 0 || lock.l_type != F_UNLCK;
}

bool is_domain_file(int fd) {
  struct stat info;
  uint64_t magic = 0;
  return ::fstat(fd, &info) == 0 && S_ISREG(info.st_mode) &&
         ::pread(fd, &magic, sizeof(magic), 0) == sizeof(magic) &&
         magic == kMagic;
}

unsigned remove_stale_domains(const std::string& folder) {
  std::error_code error;
  unsigned removed = 0;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    if (name.rfind(kRunPrefix, 0) == 0 && entry.is_regular_file(error)) {
      removed += remove_if_stale(entry.path());
    }
  }
  return removed;
}

}  // namespace umemcg
