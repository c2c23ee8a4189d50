#include "base/sys.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <string>
#include <thread>

#include "base/units.h"
#include "tests/unit/support/child.h"
#include "tests/unit/support/scratch.h"

namespace umemcg {
namespace {

constexpr int kPreset = 22;

// Results are returned, errno is kept: whatever fails here, errno stays what
// it was before.
class SysTest : public testing::Test {
 protected:
  void SetUp() override { errno = kPreset; }
  void TearDown() override { sys::memory = sys::kRealMemory; }

  test::ScratchDirectory scratch_;
};

TEST_F(SysTest, FilesReturnNegativeErrors) {
  errno = kPreset;
  char buffer[4];
  EXPECT_EQ(sys::open("/nowhere/at/all", O_RDONLY), -ENOENT);
  EXPECT_EQ(sys::read(-1, buffer, sizeof(buffer)), -EBADF);
  EXPECT_EQ(sys::write(-1, "x", 1), -EBADF);
  EXPECT_EQ(sys::read_file("/nowhere/at/all", buffer, 4), -ENOENT);
  EXPECT_EQ(sys::read_file("/", buffer, 4), -EISDIR);
  sys::close(-1);
  EXPECT_EQ(errno, kPreset);
}

TEST_F(SysTest, MemoryCallsReturnErrors) {
  errno = kPreset;
  int error = 0;
  EXPECT_EQ(sys::map_anonymous(0, PROT_READ, &error), nullptr);
  EXPECT_EQ(error, EINVAL);
  char* odd = reinterpret_cast<char*>(uintptr_t{kPageSize} + 1);
  EXPECT_EQ(sys::unmap(odd, kPageSize), EINVAL);
  EXPECT_EQ(sys::protect(odd, kPageSize, PROT_READ), EINVAL);
  EXPECT_EQ(sys::advise(odd, kPageSize, MADV_NORMAL), EINVAL);
  EXPECT_EQ(errno, kPreset);
}

TEST_F(SysTest, MapsMemoryThatCanBeUsed) {
  int error = -1;
  char* memory = static_cast<char*>(
      sys::map_anonymous(2 * kPageSize, PROT_READ | PROT_WRITE, &error));
  ASSERT_NE(memory, nullptr);
  EXPECT_EQ(error, 0);
  memory[0] = memory[2 * kPageSize - 1] = 'x';
  EXPECT_EQ(sys::advise(memory, 2 * kPageSize, MADV_DONTNEED), 0);
  EXPECT_EQ(memory[0], 0);
  EXPECT_EQ(sys::protect(memory, kPageSize, PROT_READ), 0);
  EXPECT_EQ(sys::unmap(memory, 2 * kPageSize), 0);
}

TEST_F(SysTest, GivesBackLockedPagesToo) {
  int error;
  char* memory = static_cast<char*>(
      sys::map_anonymous(kPageSize, PROT_READ | PROT_WRITE, &error));
  ASSERT_NE(memory, nullptr);
  if (::mlock(memory, kPageSize) != 0) GTEST_SKIP() << "may not lock memory";
  memory[0] = 'x';
  EXPECT_EQ(sys::advise(memory, kPageSize, MADV_DONTNEED), 0);
  EXPECT_EQ(memory[0], 0);
  EXPECT_EQ(sys::unmap(memory, kPageSize), 0);
}

TEST_F(SysTest, OpenedFilesCloseOnExec) {
  int fd = sys::open(scratch_.file("new").c_str(), O_RDWR | O_CREAT, 0600);
  ASSERT_GE(fd, 0);
  EXPECT_EQ(::fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
  EXPECT_EQ(sys::write(fd, "abc", 3), 3);
  sys::close(fd);
  EXPECT_EQ(::fcntl(fd, F_GETFD), -1);
}

TEST_F(SysTest, ReadsAFileWholeOrWhatFits) {
  const std::string path = scratch_.file("text");
  std::ofstream(path) << "0123456789";
  char buffer[64];
  EXPECT_EQ(sys::read_file(path.c_str(), buffer, sizeof(buffer)), 10);
  EXPECT_STREQ(buffer, "0123456789");
  EXPECT_EQ(sys::read_file(path.c_str(), buffer, 11), 10);
  EXPECT_STREQ(buffer, "0123456789");
  EXPECT_EQ(sys::read_file(path.c_str(), buffer, 5), 4);
  EXPECT_STREQ(buffer, "0123");
  EXPECT_EQ(sys::read_file(path.c_str(), buffer, 1), 0);
  EXPECT_STREQ(buffer, "");
}

TEST_F(SysTest, TheMemoryTableInjectsFaults) {
  sys::memory.map = [](void*, size_t, int, int, int, off_t,
                       int* error) -> void* {
    *error = ENOMEM;
    return nullptr;
  };
  sys::memory.unmap = [](void*, size_t) { return EBUSY; };
  sys::memory.protect = [](void*, size_t, int) { return EACCES; };
  sys::memory.advise = [](void*, size_t, int) { return EAGAIN; };
  int error = 0;
  char byte;
  EXPECT_EQ(sys::map_anonymous(kPageSize, PROT_READ, &error), nullptr);
  EXPECT_EQ(error, ENOMEM);
  EXPECT_EQ(sys::unmap(&byte, 1), EBUSY);
  EXPECT_EQ(sys::protect(&byte, 1, PROT_READ), EACCES);
  EXPECT_EQ(sys::advise(&byte, 1, MADV_NORMAL), EAGAIN);
}

TEST_F(SysTest, FutexWaitReturnsTheReason) {
  errno = kPreset;
  uint32_t word = 5;
  EXPECT_EQ(sys::futex_wait(&word, 4, 1'000'000'000), EAGAIN);
  EXPECT_EQ(sys::futex_wait(&word, 5, 1'000'000), ETIMEDOUT);
  sys::futex_wake(&word, 1);
  EXPECT_EQ(errno, kPreset);
}

TEST_F(SysTest, ClocksGoForward) {
  const uint64_t before = sys::monotonic_ns();
  const uint64_t coarse = sys::coarse_ms();
  sys::sleep_ns(20'000'000);
  EXPECT_GE(sys::monotonic_ns() - before, 20'000'000u);
  // A tick of the coarse clock is at most 10 ms.
  EXPECT_GE(sys::coarse_ms() - coarse, 10u);
  EXPECT_LT(sys::coarse_ms() - coarse, 10'000u);
}

// Yielding alone would keep a real-time thread from ever letting go.
TEST_F(SysTest, PauseSleepsAfterAWhile) {
  const uint64_t before = sys::monotonic_ns();
  for (int round = 0; round < 132; ++round) sys::pause(round);
  EXPECT_GE(sys::monotonic_ns() - before, 100 * 50'000u);
}

TEST_F(SysTest, DescriptorsFromANumberOn) {
  const int fd = sys::event_fd();
  const int high = sys::duplicate(fd, 500);
  EXPECT_GE(high, 500);
  const uint64_t one = 1;
  uint64_t read = 0;
  EXPECT_EQ(sys::read(fd, &read, sizeof(read)), -EAGAIN);
  EXPECT_EQ(sys::write(high, &one, sizeof(one)), ssize_t{sizeof(one)});
  EXPECT_EQ(sys::read(fd, &read, sizeof(read)), ssize_t{sizeof(read)});
  EXPECT_EQ(read, 1u);
  for (int each : {fd, high}) {
    EXPECT_EQ(::fcntl(each, F_GETFD), FD_CLOEXEC);
    sys::close(each);
  }
  EXPECT_EQ(sys::duplicate(fd, 500), -EBADF);
  EXPECT_GT(sys::most_descriptors(), 500u);
}

TEST_F(SysTest, AThreadIsCalledAsItWasNamed) {
  std::thread([] {
    sys::name_thread("a name");
    char name[16];
    sys::thread_name(name);
    EXPECT_STREQ(name, "a name");
  }).join();
}

TEST_F(SysTest, IdsAreThoseOfTheCaller) {
  EXPECT_EQ(sys::process_id(), ::getpid());
  EXPECT_EQ(sys::thread_id(), ::getpid());
  pid_t other = 0;
  std::thread([&] { other = sys::thread_id(); }).join();
  EXPECT_NE(other, sys::thread_id());
  sys::yield();
}

void* sleep_while_cancelled(void* survived) {
  ::pthread_cancel(::pthread_self());
  char byte;
  sys::sleep_ns(1000);
  sys::write(-1, "x", 1);
  sys::read(-1, &byte, 1);
  sys::close(sys::open("/", O_RDONLY));
  *static_cast<bool*>(survived) = true;
  ::pthread_testcancel();
  return nullptr;
}

// malloc is no cancellation point, whatever it calls.
TEST_F(SysTest, NothingIsACancellationPoint) {
  bool survived = false;
  pthread_t thread;
  void* result = nullptr;
  ASSERT_EQ(
      ::pthread_create(&thread, nullptr, sleep_while_cancelled, &survived), 0);
  ASSERT_EQ(::pthread_join(thread, &result), 0);
  EXPECT_TRUE(survived);
  EXPECT_EQ(result, PTHREAD_CANCELED);
}

void ignore_signal(int) {}

// A signal that interrupts a call must not look like an error.
class SysInterrupted : public SysTest {
 protected:
  void SetUp() override {
    struct sigaction action = {};
    action.sa_handler = ignore_signal;  // and no SA_RESTART
    ASSERT_EQ(::sigaction(SIGUSR1, &action, &before_), 0);
    ASSERT_EQ(::pipe(ends_), 0);
  }
  void TearDown() override {
    sys::close(ends_[0]);
    sys::close(ends_[1]);
    ::sigaction(SIGUSR1, &before_, nullptr);
  }
  // Interrupts `process` now and again.
  static void interrupt(pid_t process) {
    for (int i = 0; i < 5; ++i) {
      sys::sleep_ns(10'000'000);
      ::kill(process, SIGUSR1);
    }
    sys::sleep_ns(10'000'000);
  }

  struct sigaction before_;
  int ends_[2] = {-1, -1};
};

TEST_F(SysInterrupted, ReadGoesOn) {
  test::Child writer([&, reader = ::getpid()] {
    interrupt(reader);
    EXPECT_EQ(sys::write(ends_[1], "x", 1), 1);
  });
  char byte = 0;
  EXPECT_EQ(sys::read(ends_[0], &byte, 1), 1);
  EXPECT_EQ(byte, 'x');
  EXPECT_EQ(writer.wait(), 0);
}

TEST_F(SysInterrupted, WriteGoesOn) {
  ASSERT_EQ(::fcntl(ends_[1], F_SETFL, O_NONBLOCK), 0);
  char block[4096] = {};
  while (sys::write(ends_[1], block, sizeof(block)) > 0) {
  }
  ASSERT_EQ(::fcntl(ends_[1], F_SETFL, 0), 0);
  test::Child reader([&, writer = ::getpid()] {
    interrupt(writer);
    EXPECT_EQ(sys::read(ends_[0], block, sizeof(block)),
              ssize_t{sizeof(block)});
  });
  EXPECT_EQ(sys::write(ends_[1], "x", 1), 1);
  EXPECT_EQ(reader.wait(), 0);
}

}  // namespace
}  // namespace umemcg
