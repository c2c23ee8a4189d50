#include "accounting/file_lock.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>

#include "base/sys.h"
#include "base/units.h"
#include "tests/unit/support/child.h"
#include "tests/unit/support/scratch.h"

namespace umemcg {
namespace {

class FileLockTest : public testing::Test {
 protected:
  void SetUp() override {
    path_ = scratch_.file("locks");
    first_ = open();
    second_ = open();
    ASSERT_EQ(::ftruncate(first_, kPageSize), 0);
  }
  void TearDown() override {
    sys::close(first_);
    sys::close(second_);
  }
  int open() { return sys::open(path_.c_str(), O_RDWR | O_CREAT, 0600); }

  test::ScratchDirectory scratch_;
  std::string path_;
  int first_ = -1, second_ = -1;
};

TEST_F(FileLockTest, ExcludesOtherOpenFilesOnTheSameByte) {
  EXPECT_TRUE(file_lock_try(first_, 5));
  EXPECT_FALSE(file_lock_try(second_, 5));
  EXPECT_TRUE(file_lock_try(second_, 6));
  EXPECT_TRUE(file_lock_try(first_, 5));  // its own
  EXPECT_TRUE(file_lock_try(second_, int64_t{1} << 40));
}

TEST_F(FileLockTest, HeldMeansBySomebodyElse) {
  EXPECT_FALSE(file_lock_held(second_, 5));
  ASSERT_TRUE(file_lock_try(first_, 5));
  EXPECT_TRUE(file_lock_held(second_, 5));
  EXPECT_FALSE(file_lock_held(first_, 5));
  EXPECT_FALSE(file_lock_held(second_, 4));
  EXPECT_FALSE(file_lock_held(second_, 6));
}

// What cannot be told counts as held: a live process must not be taken for a
// dead one.
TEST_F(FileLockTest, AnErrorCountsAsHeld) {
  EXPECT_TRUE(file_lock_held(-1, 5));
  EXPECT_FALSE(file_lock_try(-1, 5));
}

TEST_F(FileLockTest, EndsWithItsOpenFile) {
  ASSERT_TRUE(file_lock_try(first_, 5));
  sys::close(first_);
  first_ = -1;
  EXPECT_FALSE(file_lock_held(second_, 5));
  EXPECT_TRUE(file_lock_try(second_, 5));
}

// The trick that process liveness rests on.
TEST_F(FileLockTest, LivesAsLongAsAMappingOfItsOpenFile) {
  ASSERT_TRUE(file_lock_try(first_, 5));
  void* page = ::mmap(nullptr, kPageSize, PROT_READ, MAP_SHARED, first_, 0);
  ASSERT_NE(page, MAP_FAILED);
  sys::close(first_);
  first_ = -1;
  EXPECT_TRUE(file_lock_held(second_, 5));
  ::munmap(page, kPageSize);
  EXPECT_FALSE(file_lock_held(second_, 5));
}

TEST_F(FileLockTest, WithinGivesUpAfterItsTime) {
  ASSERT_TRUE(file_lock_try(first_, 5));
  const uint64_t start = sys::monotonic_ns();
  EXPECT_FALSE(file_lock_within(second_, 5, 30));
  const uint64_t waited = sys::monotonic_ns() - start;
  EXPECT_GE(waited, 30'000'000u);
  EXPECT_LT(waited, 5'000'000'000u);
  EXPECT_FALSE(file_lock_within(second_, 5, 0));
}

TEST_F(FileLockTest, WithinWaitsForAHolderThatEnds) {
  test::Shared<std::atomic<int>> locked;
  test::Child holder([&] {
    int fd = open();
    EXPECT_TRUE(file_lock_try(fd, 5));
    *locked = 1;
    sys::sleep_ns(50'000'000);
  });
  ASSERT_TRUE(test::wait_until([&] { return *locked == 1; }));
  EXPECT_FALSE(file_lock_try(second_, 5));
  EXPECT_TRUE(file_lock_within(second_, 5, 10'000));
  EXPECT_EQ(holder.wait(), 0);
}

TEST_F(FileLockTest, KeepsErrno) {
  ASSERT_TRUE(file_lock_try(first_, 5));
  errno = 22;
  EXPECT_FALSE(file_lock_try(second_, 5));
  EXPECT_TRUE(file_lock_held(second_, 5));
  EXPECT_FALSE(file_lock_try(-1, 5));
  EXPECT_FALSE(file_lock_within(-1, 5, 1));
  EXPECT_EQ(errno, 22);
}

}  // namespace
}  // namespace umemcg
