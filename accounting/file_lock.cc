#include "accounting/file_lock.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/errno_saver.h"
#include "base/sys.h"

namespace umemcg {
namespace {

struct flock byte_lock(int64_t byte, short type = F_WRLCK) {
  struct flock lock = {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = byte;
  lock.l_len = 1;
  return lock;
}

}  // namespace

// The raw call: fcntl(2) is a cancellation point for some commands.
bool file_lock_try(int fd, int64_t byte) {
  ErrnoSaver saver;
  struct flock lock = byte_lock(byte);
  return ::syscall(SYS_fcntl, fd, F_OFD_SETLK, &lock) == 0;
}

bool file_lock_within(int fd, int64_t byte, uint32_t wait_ms) {
  const uint64_t deadline = sys::monotonic_ns() + wait_ms * 1000000ull;
  uint64_t pause = 10'000;
  while (!file_lock_try(fd, byte)) {
    if (sys::monotonic_ns() >= deadline) return false;
    sys::sleep_ns(pause);
    if (pause < 2'000'000) pause *= 2;
  }
  return true;
}

void file_unlock(int fd, int64_t byte) {
  ErrnoSaver saver;
  struct flock lock = byte_lock(byte, F_UNLCK);
  ::syscall(SYS_fcntl, fd, F_OFD_SETLK, &lock);
}

bool file_lock_held(int fd, int64_t byte) {
  ErrnoSaver saver;
  struct flock lock = byte_lock(byte);
  return ::syscall(SYS_fcntl, fd, F_OFD_GETLK, &lock) != 0 ||
         lock.l_type != F_UNLCK;
}

}  // namespace umemcg
