#include "accounting/event_fd.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "tests/unit/support/scratch.h"

namespace umemcg {
namespace {

// What a read gives; 0: nothing.
uint64_t read_count(int fd) {
  uint64_t count = 0;
  return read(fd, &count, sizeof(count)) == sizeof(count) ? count : 0;
}

bool is_open(int fd) { return fcntl(fd, F_GETFD) >= 0; }

TEST(EventFdTest, TellsHowMuch) {
  EventFd own;
  const int fd = open_event_fd(&own);
  ASSERT_GE(fd, 0);
  EXPECT_EQ(read_count(fd), 0u);
  EXPECT_EQ(errno, EAGAIN);
  EXPECT_TRUE(signal_event_fd(own, 2));
  EXPECT_TRUE(signal_event_fd(own, 3));
  EXPECT_EQ(read_count(fd), 5u);
  EXPECT_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
  EXPECT_EQ(fcntl(own.fd, F_GETFD), FD_CLOEXEC);
  close_event_fd(own);
  EXPECT_FALSE(is_open(own.fd));
  EXPECT_TRUE(is_open(fd));
  EXPECT_FALSE(signal_event_fd(own, 1));
  close(fd);
}

TEST(EventFdTest, OneThatIsFullStaysReadable) {
  EventFd own;
  const int fd = open_event_fd(&own);
  EXPECT_TRUE(signal_event_fd(own, UINT64_MAX - 1));
  EXPECT_TRUE(signal_event_fd(own, 1));
  EXPECT_EQ(read_count(fd), UINT64_MAX - 1);
  close_event_fd(own);
  close(fd);
}

TEST(EventFdTest, IsOutOfTheWay) {
  EventFd own;
  const int fd = open_event_fd(&own);
  EXPECT_GT(own.fd, fd + 10);
  close_event_fd(own);
  close(fd);
}

TEST(EventFdTest, TheProgramsMayBeClosed) {
  EventFd own;
  close(open_event_fd(&own));
  EXPECT_TRUE(signal_event_fd(own, 1));
  close_event_fd(own);
}

// A program that closes everything, and opens files of its own.
class NumberGivenAgain : public testing::Test {
 protected:
  void SetUp() override {
    fd_ = open_event_fd(&own_);
    ASSERT_GE(fd_, 0);
    close(own_.fd);
  }
  void TearDown() override {
    EXPECT_FALSE(signal_event_fd(own_, 1));
    close_event_fd(own_);
    EXPECT_TRUE(is_open(own_.fd));
    close(own_.fd);
    close(fd_);
  }

  EventFd own_;
  int fd_ = -1;
};

TEST_F(NumberGivenAgain, AFileIsNotWrittenTo) {
  test::ScratchDirectory scratch;
  const int file = open(scratch.file("file").c_str(), O_RDWR | O_CREAT, 0600);
  ASSERT_EQ(dup2(file, own_.fd), own_.fd);
  EXPECT_FALSE(signal_event_fd(own_, 1));
  EXPECT_EQ(lseek(file, 0, SEEK_END), 0);
  close(file);
}

TEST_F(NumberGivenAgain, AnotherEventfdIsNotWrittenTo) {
  const int other = eventfd(0, EFD_NONBLOCK);
  ASSERT_EQ(dup2(other, own_.fd), own_.fd);
  EXPECT_FALSE(signal_event_fd(own_, 1));
  EXPECT_EQ(read_count(other), 0u);
  close(other);
}

}  // namespace
}  // namespace umemcg
