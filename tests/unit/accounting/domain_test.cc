#include "accounting/domain.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "base/sys.h"
#include "tests/unit/accounting/fixture.h"
#include "tests/unit/support/child.h"

namespace umemcg {
namespace {

std::string path_for(const char* name) {
  Line path;
  domain_path(name, path);
  return path.c_str();
}

TEST(DomainPath, IsInTheUsersDirectoryOrAsGiven) {
  const std::string own = "/dev/shm/umemcg-" + std::to_string(::geteuid());
  EXPECT_EQ(path_for("work"), own + "/work");
  EXPECT_EQ(path_for("/tmp/work"), "/tmp/work");
  EXPECT_EQ(path_for("./work"), "./work");
}

// As a user that nobody is, so that no other program's domains are met.
class DomainDirectory : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) {
      GTEST_SKIP() << "only root can change to another user";
    }
    user_ = 0x10000000u + static_cast<uid_t>(::getpid());
    directory_ = "/dev/shm/umemcg-" + std::to_string(user_);
  }
  void TearDown() override {
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
    std::filesystem::remove_all(directory_ + "-own", ignored);
  }
  void as_user(const std::function<void()>& body) {
    test::Child child([&] {
      ASSERT_EQ(::setuid(user_), 0);
      body();
    });
    EXPECT_EQ(child.wait(), 0);
  }

  uid_t user_ = 0;
  std::string directory_;
};

TEST_F(DomainDirectory, IsMadePrivate) {
  as_user([&] {
    errno = 22;
    EXPECT_EQ(make_domain_directory(), 0);
    EXPECT_EQ(make_domain_directory(), 0);
    EXPECT_EQ(errno, 22);
  });
  struct stat info;
  ASSERT_EQ(::lstat(directory_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0700u);
  EXPECT_EQ(info.st_uid, user_);
}

TEST_F(DomainDirectory, IsMadeWithTheFirstDomain) {
  as_user([&] {
    const char* why;
    Segment segment;
    EXPECT_EQ(join_domain(segment, "work", &why), 0);
    EXPECT_EQ(segment.path(), directory_ + "/work");
  });
  EXPECT_TRUE(std::filesystem::exists(directory_ + "/work"));
}

TEST_F(DomainDirectory, ThatOthersMayWriteToIsRefused) {
  as_user([&] {
    ASSERT_EQ(make_domain_directory(), 0);
    for (mode_t mode : {0777u, 0770u, 0702u}) {
      ASSERT_EQ(::chmod(directory_.c_str(), mode), 0);
      EXPECT_EQ(make_domain_directory(), EACCES) << std::oct << mode;
    }
    const char* why;
    Segment segment;
    EXPECT_EQ(join_domain(segment, "work", &why), EACCES);
    EXPECT_STREQ(why,
                 "cannot be made: its directory is missing or not private");
    EXPECT_FALSE(segment.mapped());
  });
}

TEST_F(DomainDirectory, ThatIsAnotherUsersIsRefused) {
  std::filesystem::create_directory(directory_);
  as_user([&] { EXPECT_EQ(make_domain_directory(), EACCES); });
}

TEST_F(DomainDirectory, ThatIsNoDirectoryIsRefused) {
  as_user([&] {
    // Not even a link to a private one: who may place it may turn it.
    ASSERT_EQ(::mkdir((directory_ + "-own").c_str(), 0700), 0);
    std::filesystem::create_directory_symlink(directory_ + "-own", directory_);
    EXPECT_EQ(make_domain_directory(), EACCES);
    std::filesystem::remove(directory_);
    std::ofstream(directory_) << "x";
    EXPECT_EQ(make_domain_directory(), EACCES);
  });
}

class JoinDomain : public testing::Test {
 protected:
  void TearDown() override { segment_.detach(); }

  test::ScratchDirectory scratch_;
  std::string path_ = scratch_.file("domain");
  Segment segment_;
  const char* why_ = nullptr;
};

TEST_F(JoinDomain, MakesWhatIsMissingAndJoinsWhatIsThere) {
  ASSERT_EQ(join_domain(segment_, path_.c_str(), &why_), 0);
  EXPECT_EQ(segment_.group_count(), 4096u);
  EXPECT_EQ(segment_.process_count(), 1024u);
  test::make_group(segment_, "/here");
  Segment second;
  ASSERT_EQ(join_domain(second, path_.c_str(), &why_), 0);
  EXPECT_NE(find_group(second, "/here"), kNone);
  second.detach();
}

TEST_F(JoinDomain, OnlyAttachingMakesNothing) {
  EXPECT_EQ(attach_domain(segment_, path_.c_str(), &why_), ENOENT);
  EXPECT_FALSE(std::filesystem::exists(path_));
  Segment first;
  ASSERT_EQ(join_domain(first, path_.c_str(), &why_), 0);
  test::make_group(first, "/here");
  first.detach();
  ASSERT_EQ(attach_domain(segment_, path_.c_str(), &why_), 0);
  EXPECT_NE(find_group(segment_, "/here"), kNone);
}

TEST_F(JoinDomain, MakesItAsLargeAsIsSaid) {
  SegmentSizes sizes = sizes_for_groups(10'000);
  EXPECT_EQ(sizes.groups, 10'001u) << "and the root";
  EXPECT_EQ(sizes.ledgers, 40'000u);
  EXPECT_EQ(sizes.lines, 8192u);
  EXPECT_EQ(sizes.processes, 1024u);
  EXPECT_EQ(sizes_for_groups(1).ledgers, SegmentSizes{}.ledgers);
  EXPECT_LT(sizes_for_groups(kMostDomainGroups).ledgers, 1u << 20);
  ASSERT_EQ(join_domain(segment_, path_.c_str(), &why_, sizes_for_groups(3)),
            0);
  uint32_t group;
  for (const char* path : {"/1", "/2", "/3"}) {
    EXPECT_EQ(create_group(segment_, path, &group), 0) << path;
  }
  EXPECT_EQ(create_group(segment_, "/4", &group), ENOSPC);
  // Who joins later finds it as it is.
  Segment second;
  ASSERT_EQ(join_domain(second, path_.c_str(), &why_, sizes_for_groups(99)), 0);
  EXPECT_EQ(second.group_count(), 4u);
  second.detach();
}

TEST_F(JoinDomain, SaysWhatIsWrong) {
  std::ofstream(path_) << std::string(1 << 20, 'x');
  std::filesystem::permissions(path_, std::filesystem::perms(0644));
  EXPECT_EQ(join_domain(segment_, path_.c_str(), &why_), EACCES);
  EXPECT_STREQ(why_, "is open to other users: its mode must be 0600");
  std::filesystem::permissions(path_, std::filesystem::perms(0600));
  EXPECT_EQ(join_domain(segment_, path_.c_str(), &why_), EINVAL);
  EXPECT_STREQ(why_, "is not a umemcg domain");
  EXPECT_FALSE(segment_.mapped());
  EXPECT_EQ(join_domain(segment_, scratch_.file("no/such").c_str(), &why_),
            ENOENT);
  EXPECT_STREQ(why_, "cannot be made");
}

// A path that is cut would be another file's.
TEST_F(JoinDomain, RefusesANameThatIsTooLong) {
  // Cut, this would be a file that can be made.
  const std::string folder = scratch_.file(std::string(240, 'f'));
  std::filesystem::create_directory(folder);
  const std::string file = folder + "/" + std::string(250, 'x');
  ASSERT_EQ(join_domain(segment_, (folder + "/ok").c_str(), &why_), 0);
  segment_.detach();
  ASSERT_GT(file.size(), 511u);
  EXPECT_EQ(join_domain(segment_, file.c_str(), &why_), ENAMETOOLONG);
  EXPECT_STREQ(why_, "has a name that is too long");
  const std::string deep = scratch_.file(std::string(600, 'x'));
  EXPECT_EQ(join_domain(segment_, deep.c_str(), &why_), ENAMETOOLONG);
  EXPECT_EQ(join_domain(segment_, std::string(600, 'x').c_str(), &why_),
            ENAMETOOLONG);
  EXPECT_FALSE(segment_.mapped());
}

// Who is killed while making one leaves nothing that others stumble over.
TEST_F(JoinDomain, AfterAMakerThatWasKilled) {
  test::Child maker([&] {
    sys::memory.map = [](void*, size_t, int, int, int, off_t, int*) -> void* {
      ::raise(SIGKILL);
      return nullptr;
    };
    join_domain(segment_, path_.c_str(), &why_);
  });
  EXPECT_EQ(maker.wait(), 256 + SIGKILL);
  EXPECT_FALSE(std::filesystem::exists(path_));
  EXPECT_EQ(join_domain(segment_, path_.c_str(), &why_), 0);
}

// Of processes that start together one makes the domain, and all are in it.
TEST_F(JoinDomain, EightProcessesAtOnce) {
  constexpr int kProcesses = 8;
  const std::string folder = scratch_.file("races");
  std::filesystem::create_directory(folder);
  for (int round = 0; round < 10; ++round) {
    const std::string path = folder + "/" + std::to_string(round);
    test::Shared<std::atomic<int>> ready;
    std::vector<std::unique_ptr<test::Child>> children;
    for (int i = 0; i < kProcesses; ++i) {
      children.push_back(std::make_unique<test::Child>([&] {
        ++*ready;
        while (*ready != kProcesses) sys::yield();
        const char* why = "";
        Segment segment;
        ASSERT_EQ(join_domain(segment, path.c_str(), &why), 0) << why;
        test::make_group(segment, "/together");
        segment.group(find_group(segment, "/together"))->memory.charge(1);
      }));
    }
    for (auto& child : children) ASSERT_EQ(child->wait(), 0);
    Segment segment;
    ASSERT_EQ(segment.attach_file(path.c_str(), &why_), 0);
    EXPECT_EQ(segment.groups_used(), 2u);
    EXPECT_EQ(segment.group(kRootGroup)->memory.usage(), kProcesses);
    segment.detach();
  }
  std::filesystem::directory_iterator files(folder), none;
  EXPECT_EQ(std::distance(files, none), 10) << "the losers left something";
}

}  // namespace
}  // namespace umemcg
