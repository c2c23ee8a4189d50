#include "base/sys.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>

#include "base/errno_saver.h"

namespace umemcg::sys {
namespace {

// The raw calls: not the C library's functions, which programs and this very
// library interpose, and some of which are cancellation points.
template <typename... Args>
long call(long number, Args... args) {
  ErrnoSaver saver;
  long result = ::syscall(number, args...);
  return result == -1 ? -errno : result;
}

template <typename... Args>
int error_of(long number, Args... args) {
  return static_cast<int>(-call(number, args...));
}

void* real_map(void* hint, size_t size, int protection, int flags, int fd,
               off_t offset, int* error) {
  long result = call(SYS_mmap, hint, size, protection, flags, fd, offset);
  *error = result < 0 && result > -4096 ? static_cast<int>(-result) : 0;
  return *error == 0 ? reinterpret_cast<void*>(result) : nullptr;
}
int real_unmap(void* address, size_t size) {
  return error_of(SYS_munmap, address, size);
}
int real_protect(void* address, size_t size, int protection) {
  return error_of(SYS_mprotect, address, size, protection);
}
// Locked pages (mlockall) are given back only by an advice of their own, which
// Linux has since 5.18.
int real_advise(void* address, size_t size, int advice) {
  constexpr int kDontNeedLocked = 24;  // MADV_DONTNEED_LOCKED
  int error = error_of(SYS_madvise, address, size, advice);
  if (error == EINVAL && advice == MADV_DONTNEED) {
    error = error_of(SYS_madvise, address, size, kDontNeedLocked);
  }
  return error;
}

uint64_t clock_ns(clockid_t clock) {
  timespec now;
  ::clock_gettime(clock, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000000000u +
         static_cast<uint64_t>(now.tv_nsec);
}

timespec to_timespec(uint64_t ns) {
  return {static_cast<time_t>(ns / 1000000000u),
          static_cast<long>(ns % 1000000000u)};
}

}  // namespace

const MemoryCalls kRealMemory = {real_map, real_unmap, real_protect,
                                 real_advise};
constinit MemoryCalls memory = {real_map, real_unmap, real_protect,
                                real_advise};

ssize_t write(int fd, const void* data, size_t size) {
  long result;
  do {
    result = call(SYS_write, fd, data, size);
  } while (result == -EINTR);
  return result;
}

ssize_t read(int fd, void* data, size_t size) {
  long result;
  do {
    result = call(SYS_read, fd, data, size);
  } while (result == -EINTR);
  return result;
}

int open(const char* path, int flags, unsigned mode) {
  return static_cast<int>(
      call(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC, mode));
}

void close(int fd) { call(SYS_close, fd); }

int event_fd() {
  return static_cast<int>(call(SYS_eventfd2, 0, EFD_CLOEXEC | EFD_NONBLOCK));
}

int duplicate(int fd, int lowest) {
  return static_cast<int>(call(SYS_fcntl, fd, F_DUPFD_CLOEXEC, lowest));
}

uint64_t most_descriptors() {
  rlimit limit;
  const long error = call(SYS_prlimit64, 0, RLIMIT_NOFILE, nullptr, &limit);
  return error == 0 ? limit.rlim_cur : 0;
}

int futex_wait(uint32_t* word, uint32_t expected, uint64_t timeout_ns) {
  timespec timeout = to_timespec(timeout_ns);
  return error_of(SYS_futex, word, FUTEX_WAIT, expected, &timeout, nullptr, 0);
}

void futex_wake(uint32_t* word, int waiters) {
  call(SYS_futex, word, FUTEX_WAKE, waiters, nullptr, nullptr, 0);
}

void yield() { call(SYS_sched_yield); }

void pause(int round) {
  if (round < 32) {
    yield();
  } else {
    sleep_ns(50'000);
  }
}

void sleep_ns(uint64_t ns) {
  timespec duration = to_timespec(ns);
  call(SYS_nanosleep, &duration, nullptr);
}

pid_t process_id() { return static_cast<pid_t>(call(SYS_getpid)); }
pid_t parent_id() { return static_cast<pid_t>(call(SYS_getppid)); }
pid_t thread_id() { return static_cast<pid_t>(call(SYS_gettid)); }

void name_thread(const char* name) { call(SYS_prctl, PR_SET_NAME, name); }
void thread_name(char (&name)[16]) {
  name[0] = '\0';
  call(SYS_prctl, PR_GET_NAME, name, 0, 0, 0);
  name[15] = '\0';
}
int send_signal(pid_t process, int signal) {
  return error_of(SYS_kill, process, signal);
}
int pidfd_open(pid_t process) {
  return static_cast<int>(call(SYS_pidfd_open, process, 0));
}
int pidfd_getfd(int fd, int theirs) {
  return static_cast<int>(call(SYS_pidfd_getfd, fd, theirs, 0));
}
int pidfd_signal(int fd, int signal) {
  return error_of(SYS_pidfd_send_signal, fd, signal, nullptr, 0);
}

uint64_t coarse_ms() { return clock_ns(CLOCK_MONOTONIC_COARSE) / 1000000u; }
uint64_t monotonic_ns() { return clock_ns(CLOCK_MONOTONIC); }
uint64_t wall_clock_ms() { return clock_ns(CLOCK_REALTIME) / 1000000u; }

ssize_t read_file(const char* path, char* buffer, size_t size) {
  int fd = open(path, O_RDONLY);
  if (fd < 0) return fd;
  size_t length = 0;
  ssize_t got = 0;
  while (length + 1 < size &&
         (got = read(fd, buffer + length, size - 1 - length)) > 0) {
    length += static_cast<size_t>(got);
  }
  close(fd);
  if (got < 0) return got;
  buffer[length] = '\0';
  return static_cast<ssize_t>(length);
}

}  // namespace umemcg::sys
