#include "accounting/segment.h"
#include "accounting/stock_word.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "base/sys.h"
#include "tests/unit/accounting/fixture.h"
#include "tests/unit/support/child.h"

namespace umemcg {
namespace {

using test::kSmall;

using PrivateSegment = test::PrivateSegmentTest;

void expect_fresh_tree(Segment& segment) {
  EXPECT_EQ(segment.groups_used(), 1u);
  EXPECT_EQ(segment.processes_used(), 0u);
  EXPECT_EQ(segment.ledgers_used(), 0u);
  EXPECT_EQ(segment.lines_used(), 0u);
  Group& root = *segment.group(kRootGroup);
  EXPECT_EQ(root.state, GroupState::kOnline);
  EXPECT_EQ(root.parent, kNone);
  EXPECT_EQ(root.memory.usage(), 0);
  EXPECT_EQ(root.memory.max(), kPageCounterMax);
  EXPECT_EQ(root.high, kPageCounterMax);
}

TEST_F(PrivateSegment, HasTheRootOnly) {
  EXPECT_TRUE(segment_.mapped());
  EXPECT_TRUE(segment_.is_private());
  EXPECT_EQ(segment_.group_count(), kSmall.groups);
  expect_fresh_tree(segment_);
}

TEST_F(PrivateSegment, LooksRowsUpByCheckedIndexes) {
  EXPECT_NE(segment_.group(kSmall.groups - 1), nullptr);
  EXPECT_EQ(segment_.group(kSmall.groups), nullptr);
  EXPECT_EQ(segment_.group(kNone), nullptr);
  EXPECT_NE(segment_.process(kSmall.processes - 1), nullptr);
  EXPECT_EQ(segment_.process(kSmall.processes), nullptr);
  EXPECT_NE(segment_.ledger(kSmall.ledgers - 1), nullptr);
  EXPECT_EQ(segment_.ledger(kSmall.ledgers), nullptr);
  EXPECT_NE(segment_.line(kSmall.lines - 1), nullptr);
  EXPECT_EQ(segment_.line(kNone), nullptr);
}

TEST_F(PrivateSegment, KnowsTheGroupOfACounter) {
  EXPECT_EQ(segment_.group_of(&segment_.group(3)->memory), 3u);
  PageCounter elsewhere;
  EXPECT_EQ(segment_.group_of(&elsewhere), kNone);
  EXPECT_EQ(segment_.group_of(nullptr), kNone);
}

TEST_F(PrivateSegment, TablesLieApartAndInside) {
  char* base = reinterpret_cast<char*>(&segment_.header());
  char* end = base + segment_bytes(kSmall);
  auto* last_group = segment_.group(kSmall.groups - 1) + 1;
  auto* last_process = segment_.process(kSmall.processes - 1) + 1;
  auto* last_ledger = segment_.ledger(kSmall.ledgers - 1) + 1;
  EXPECT_LE(static_cast<void*>(last_group),
            static_cast<void*>(segment_.process(0)));
  EXPECT_LE(static_cast<void*>(last_process),
            static_cast<void*>(segment_.ledger(0)));
  EXPECT_LE(static_cast<void*>(last_ledger),
            static_cast<void*>(segment_.line(0)));
  EXPECT_LE(reinterpret_cast<char*>(segment_.line(kSmall.lines - 1) + 1), end);
}

TEST_F(PrivateSegment, DetachForgetsEverything) {
  segment_.detach();
  EXPECT_FALSE(segment_.mapped());
  EXPECT_EQ(segment_.group(0), nullptr);
  EXPECT_EQ(segment_.line(0), nullptr);
}

TEST_F(PrivateSegment, DamagedHighMarksStayInTheTable) {
  segment_.header().groups_high = UINT32_MAX;
  segment_.header().lines_high = kSmall.lines + 1;
  EXPECT_EQ(segment_.groups_used(), kSmall.groups);
  EXPECT_EQ(segment_.lines_used(), kSmall.lines);
}

TEST(SegmentFault, NoMemoryIsAnError) {
  sys::memory.map = [](void*, size_t, int, int, int, off_t,
                       int* error) -> void* {
    *error = ENOMEM;
    return nullptr;
  };
  test::ScratchDirectory scratch;
  const std::string path = scratch.file("domain");
  Segment segment;
  EXPECT_EQ(segment.create_private(kSmall), ENOMEM);
  EXPECT_EQ(segment.create_file(path.c_str(), kSmall), ENOMEM);
  sys::memory = sys::kRealMemory;
  EXPECT_FALSE(segment.mapped());
  EXPECT_TRUE(std::filesystem::is_empty(scratch.path()))
      << "half a domain is left";
}

// All of it is backed when it is made: a full file system is an error then,
// not a SIGBUS in the middle of a charge.
TEST(SegmentFault, NoRoomForTheFileIsAnError) {
  test::ScratchDirectory scratch;
  const std::string path = scratch.file("domain");
  test::Child child([&] {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit least = {4096, 4096};
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &least), 0);
    Segment segment;
    EXPECT_EQ(segment.create_file(path.c_str(), kSmall), EFBIG);
    EXPECT_FALSE(segment.mapped());
  });
  EXPECT_EQ(child.wait(), 0);
  EXPECT_TRUE(std::filesystem::is_empty(scratch.path()));
  Segment segment;
  ASSERT_EQ(segment.create_file(path.c_str(), kSmall), 0);
  struct stat info;
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_GE(static_cast<size_t>(info.st_blocks) * 512, segment_bytes(kSmall));
  segment.detach();
}

class FileSegment : public test::FileSegmentTest {
 protected:
  // Overwrites a field of the file's header.
  template <typename T>
  void damage(size_t offset, T value) {
    std::fstream file(path_, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(offset));
    file.write(reinterpret_cast<const char*>(&value), sizeof(value));
    ASSERT_TRUE(file.flush());
  }
  int attach() { return attach(path_); }
  int attach(const std::string& path) {
    errno = 22;
    int error = other_.attach_file(path.c_str(), &why_);
    EXPECT_EQ(errno, 22);
    EXPECT_EQ(other_.mapped(), error == 0);
    return error;
  }
  void TearDown() override {
    other_.detach();
    FileSegmentTest::TearDown();
  }

  Segment other_;
  const char* why_ = nullptr;
};

TEST_F(FileSegment, IsPrivateToItsUser) {
  struct stat info;
  ASSERT_EQ(::stat(path_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600u);
  EXPECT_EQ(info.st_uid, ::geteuid());
  EXPECT_EQ(static_cast<size_t>(info.st_size), segment_bytes(kSmall));
  expect_fresh_tree(domain_);
  EXPECT_FALSE(domain_.is_private());
  EXPECT_EQ(domain_.path(), path_);
}

TEST_F(FileSegment, AnyUmaskGivesTheSameMode) {
  const mode_t before = ::umask(0);
  const std::string path = scratch_.file("open-umask");
  EXPECT_EQ(other_.create_file(path.c_str(), kSmall), 0);
  ::umask(before);
  struct stat info;
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600u);
}

TEST_F(FileSegment, IsMadeOnce) {
  domain_.group(kRootGroup)->memory.charge(7);
  EXPECT_EQ(other_.create_file(path_.c_str(), kSmall), EEXIST);
  EXPECT_FALSE(other_.mapped());
  EXPECT_EQ(domain_.group(kRootGroup)->memory.usage(), 7);
  std::filesystem::directory_iterator files(scratch_.path()), none;
  EXPECT_EQ(std::distance(files, none), 1);
  std::string longest = scratch_.file(std::string(255, 'n'));
  EXPECT_EQ(other_.create_file(longest.c_str(), kSmall), 0);
  other_.detach();
  EXPECT_EQ(other_.create_file(scratch_.file("no/such").c_str(), kSmall),
            ENOENT);
  EXPECT_EQ(other_.create_file(std::string(600, 'x').c_str(), kSmall),
            ENAMETOOLONG);
}

TEST_F(FileSegment, TwoViewsAreOneSegment) {
  ASSERT_EQ(attach(), 0);
  EXPECT_EQ(why_, nullptr);
  EXPECT_EQ(other_.group_count(), kSmall.groups);
  EXPECT_EQ(other_.process_count(), kSmall.processes);
  EXPECT_EQ(other_.ledger_count(), kSmall.ledgers);
  EXPECT_EQ(other_.line_count(), kSmall.lines);
  EXPECT_NE(other_.group(0), domain_.group(0));
  uint32_t group = test::make_group(domain_, "/a/b");
  EXPECT_EQ(test::path_of(other_, group), "/a/b");
  // Links are offsets: they lead to the other view's own parent.
  EXPECT_EQ(other_.group(group)->memory.parent(),
            &other_.group(parent_group(other_, group))->memory);
  other_.group(group)->memory.charge(3);
  EXPECT_EQ(domain_.group(kRootGroup)->memory.usage(), 3);
}

TEST_F(FileSegment, AMissingFileIsAnError) {
  EXPECT_EQ(attach(scratch_.file("nothing")), ENOENT);
  EXPECT_STREQ(why_, "cannot be opened");
  EXPECT_EQ(attach(std::string(600, 'x')), ENAMETOOLONG);
}

TEST_F(FileSegment, ASymbolicLinkIsRefused) {
  std::filesystem::create_symlink(path_, scratch_.file("link"));
  EXPECT_EQ(attach(scratch_.file("link")), ELOOP);
  EXPECT_STREQ(why_, "cannot be opened");
}

TEST_F(FileSegment, WhatIsNoFileIsRefused) {
  const std::string fifo = scratch_.file("fifo");
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  EXPECT_EQ(attach(fifo), EINVAL);
  EXPECT_STREQ(why_, "is not a regular file");
  EXPECT_EQ(attach(scratch_.path()), EISDIR);
}

TEST_F(FileSegment, ATruncatedFileIsRefused) {
  // Downwards: what is cut off stays lost.
  for (size_t size : {segment_bytes(kSmall) - 1, sizeof(SegmentHeader),
                      sizeof(SegmentHeader) - 1, size_t{1}, size_t{0}}) {
    std::filesystem::resize_file(path_, size);
    EXPECT_EQ(attach(), EINVAL) << size;
    EXPECT_STREQ(why_, "is truncated or damaged") << size;
  }
}

TEST_F(FileSegment, AnotherSizeIsRefused) {
  std::filesystem::resize_file(path_, segment_bytes(kSmall) + 4096);
  EXPECT_EQ(attach(), EINVAL);
  EXPECT_STREQ(why_, "is truncated or damaged");
}

TEST_F(FileSegment, AWrongMagicIsRefused) {
  damage(offsetof(SegmentHeader, magic), kMagic + 1);
  EXPECT_EQ(attach(), EINVAL);
  EXPECT_STREQ(why_, "is not a umemcg domain");
}

TEST_F(FileSegment, AnotherVersionIsRefused) {
  damage(offsetof(SegmentHeader, version), kLayoutVersion - 1);
  EXPECT_EQ(attach(), EINVAL);
  EXPECT_STREQ(why_,
               "was made by an older umemcg; `umemcg rm --all` with its "
               "--domain removes it");
  damage(offsetof(SegmentHeader, version), kLayoutVersion + 1);
  EXPECT_EQ(attach(), EINVAL);
  EXPECT_STREQ(why_, "was made by a newer umemcg; use that version's library");
}

TEST_F(FileSegment, ImpossibleSizesAreRefused) {
  damage(offsetof(SegmentHeader, groups), uint32_t{0});
  EXPECT_EQ(attach(), EINVAL);
  EXPECT_STREQ(why_, "has impossible table sizes");
  for (size_t field :
       {offsetof(SegmentHeader, groups), offsetof(SegmentHeader, processes),
        offsetof(SegmentHeader, ledgers), offsetof(SegmentHeader, lines)}) {
    damage(offsetof(SegmentHeader, groups), kSmall.groups);
    damage(field, UINT32_MAX);
    EXPECT_EQ(attach(), EINVAL) << field;
    EXPECT_STREQ(why_, "has impossible table sizes") << field;
    damage(field, kMostLedgers);  // which the others may be too
    EXPECT_EQ(attach(), EINVAL) << field;
    EXPECT_STREQ(why_, "is truncated or damaged") << field;
    damage(field, kSmall.groups);
  }
}

TEST_F(FileSegment, SizesThatDisagreeAreRefused) {
  damage(offsetof(SegmentHeader, total_bytes), uint64_t{4096});
  EXPECT_EQ(attach(), EINVAL);
  EXPECT_STREQ(why_, "is truncated or damaged");
}

TEST_F(FileSegment, AnotherUsersFileIsRefused) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can change to another user";
  std::filesystem::permissions(scratch_.path(), std::filesystem::perms::all);
  test::Child stranger([&] {
    ASSERT_EQ(::setuid(65534), 0);
    EXPECT_EQ(attach(), EACCES);
    EXPECT_STREQ(why_, "cannot be opened");
  });
  EXPECT_EQ(stranger.wait(), 0);
  ASSERT_EQ(::chmod(path_.c_str(), 0666), 0);
  test::Child guest([&] {
    ASSERT_EQ(::setuid(65534), 0);
    EXPECT_EQ(attach(), EACCES);
    EXPECT_STREQ(why_, "belongs to another user");
  });
  EXPECT_EQ(guest.wait(), 0);
}

TEST_F(PrivateSegment, LockExcludesThreadsOfThisProcess) {
  ASSERT_TRUE(segment_.lock());
  segment_.unlock();
  ASSERT_TRUE(segment_.lock());
  // As the child of a fork whose parent's other thread was in there.
  segment_.reset_lock();
  ASSERT_TRUE(segment_.lock());
  segment_.unlock();
}

TEST_F(FileSegment, LockExcludesOtherViewsForAWhile) {
  ASSERT_EQ(attach(), 0);
  ASSERT_TRUE(domain_.lock());
  EXPECT_FALSE(other_.lock(20));
  domain_.unlock();
  EXPECT_TRUE(other_.lock(20));
  other_.unlock();
  EXPECT_TRUE(domain_.lock(20));
  domain_.unlock();
}

TEST_F(FileSegment, LockEndsWithItsHolder) {
  test::Shared<std::atomic<int>> locked;
  test::Child holder([&] {
    ASSERT_TRUE(domain_.lock());
    *locked = 1;
    ::pause();
  });
  ASSERT_TRUE(test::wait_until([&] { return *locked == 1; }));
  EXPECT_FALSE(domain_.lock(20));
  holder.kill();
  EXPECT_TRUE(domain_.lock(20));
  domain_.unlock();
}

// The child has a copy of the descriptor of a lock that was held at the fork;
// it neither keeps the lock nor takes it away.
TEST_F(FileSegment, LockHeldOverAForkIsTheParentsAlone) {
  ASSERT_EQ(attach(), 0);
  ASSERT_TRUE(domain_.lock());
  test::Shared<std::atomic<int>> step;
  test::Child child([&] {
    *step = 1;
    ASSERT_TRUE(test::wait_until([&] { return *step == 2; }));
    domain_.reset_lock();
    *step = 3;
    ::pause();
  });
  ASSERT_TRUE(test::wait_until([&] { return *step == 1; }));
  domain_.unlock();
  EXPECT_TRUE(other_.lock(20)) << "kept by a child that knows nothing of it";
  *step = 2;
  ASSERT_TRUE(test::wait_until([&] { return *step == 3; }));
  EXPECT_FALSE(domain_.lock(20)) << "lost by the child's reset";
  other_.unlock();
}

TEST_F(FileSegment, LockNeedsTheFile) {
  std::filesystem::remove(path_);
  EXPECT_FALSE(domain_.lock(20));
  EXPECT_FALSE(domain_.lock(20)) << "left locked by the first failure";
}

}  // namespace
}  // namespace umemcg
