#include "accounting/mem_cgroup.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "tests/unit/accounting/fixture.h"
#include "tests/unit/support/child.h"

namespace umemcg {
namespace {

using test::kSmall;
using test::make_group;
using test::path_of;

int check_name(const std::string& name) {
  return check_group_name(name.data(), name.size());
}

TEST(GroupName, IsAnythingThatCanNameAFolder) {
  for (const char* name :
       {"a", "...", ".a", "a.b", "with blank", "\xc3\xa9", "-", "python3-17"}) {
    EXPECT_EQ(check_name(name), 0) << name;
  }
  EXPECT_EQ(check_name(std::string(255, 'x')), 0);
  EXPECT_EQ(check_name(std::string(256, 'x')), EINVAL);
  for (const char* name : {"", ".", "..", "/", "a/b", "/a", "a/"}) {
    EXPECT_EQ(check_name(name), EINVAL) << name;
  }
}

TEST(GroupPath, IsMadeOfGroupNames) {
  for (const char* path : {"", "/", "/a", "a", "/a/b", "//a//b/"}) {
    EXPECT_EQ(check_group_path(path), 0) << path;
  }
  EXPECT_EQ(check_group_path("/a/../b"), EINVAL);
  EXPECT_EQ(check_group_path(("/a/" + std::string(256, 'x')).c_str()), EINVAL);
  std::string deep;
  for (int depth = 1; depth <= kMaxDepth; ++depth) deep += "/d";
  EXPECT_EQ(check_group_path(deep.c_str()), 0);
  EXPECT_EQ(check_group_path((deep + "/d").c_str()), ENOSPC);
}

class MemCgroupTest : public test::PrivateSegmentTest {
 protected:
  int create(const std::string& path) {
    uint32_t group;
    return create_group(segment_, path.c_str(), &group);
  }
};

TEST_F(MemCgroupTest, TheRootIsThere) {
  for (const char* path : {"/", "", "//"}) {
    EXPECT_EQ(find_group(segment_, path), kRootGroup);
    EXPECT_EQ(make_group(segment_, path), kRootGroup);
  }
  EXPECT_EQ(path_of(segment_, kRootGroup), "/");
  EXPECT_EQ(parent_group(segment_, kRootGroup), kNone);
}

TEST_F(MemCgroupTest, CreateMakesWhatIsMissingAbove) {
  const uint32_t c = make_group(segment_, "/a/b/c");
  const uint32_t b = find_group(segment_, "/a/b");
  const uint32_t a = find_group(segment_, "/a");
  EXPECT_EQ(parent_group(segment_, c), b);
  EXPECT_EQ(parent_group(segment_, b), a);
  EXPECT_EQ(parent_group(segment_, a), kRootGroup);
  EXPECT_EQ(segment_.group(c)->depth, 3u);
  EXPECT_EQ(segment_.group(c)->memory.parent(), &segment_.group(b)->memory);
  EXPECT_EQ(segment_.group(c)->high, kPageCounterMax);
  EXPECT_EQ(segment_.groups_used(), 4u);
}

TEST_F(MemCgroupTest, CreateFindsWhatIsThere) {
  const uint32_t b = make_group(segment_, "/a/b");
  for (const char* path : {"/a/b", "a/b", "//a//b//", "a/b/"}) {
    EXPECT_EQ(make_group(segment_, path), b) << path;
    EXPECT_EQ(find_group(segment_, path), b) << path;
  }
  EXPECT_EQ(segment_.groups_used(), 3u);
}

TEST_F(MemCgroupTest, FindTellsNamesApart) {
  make_group(segment_, "/ab/c");
  for (const char* path : {"/a", "/abc", "/c", "/ab/cd", "/ab/c/d", "/AB"}) {
    EXPECT_EQ(find_group(segment_, path), kNone) << path;
  }
  // The same name elsewhere is another group.
  EXPECT_NE(make_group(segment_, "/c"), find_group(segment_, "/ab/c"));
  EXPECT_EQ(find_child(segment_, kRootGroup, "abc", 2),
            find_group(segment_, "/ab"));
}

TEST_F(MemCgroupTest, EveryGroupHasAnIdOfItsOwn) {
  std::set<uint64_t> ids;
  for (const char* path : {"/", "/a", "/b", "/a/b"}) {
    ids.insert(segment_.group(make_group(segment_, path))->id);
  }
  EXPECT_EQ(ids.size(), 4u);
}

TEST_F(MemCgroupTest, BadNamesMakeNothing) {
  EXPECT_EQ(create("/.."), EINVAL);
  EXPECT_EQ(create("/" + std::string(256, 'x')), EINVAL);
  EXPECT_EQ(segment_.groups_used(), 1u);
  EXPECT_EQ(find_group(segment_, ("/" + std::string(256, 'x')).c_str()), kNone);
  EXPECT_EQ(create("/" + std::string(255, 'x')), 0);
}

TEST_F(MemCgroupTest, AFullTableIsAnError) {
  for (uint32_t i = 1; i < kSmall.groups; ++i) {
    EXPECT_EQ(create("/g" + std::to_string(i)), 0);
  }
  EXPECT_EQ(create("/more"), ENOSPC);
  EXPECT_EQ(create("/g1"), 0);
  EXPECT_TRUE(segment_.lock()) << "left locked by the failure";
  segment_.unlock();
}

TEST(MemCgroupDepth, IsBounded) {
  Segment segment;
  ASSERT_EQ(segment.create_private({64, 8, 8, 8}), 0);
  std::string path;
  for (int depth = 1; depth <= kMaxDepth; ++depth) path += "/d";
  const uint32_t deepest = make_group(segment, path);
  EXPECT_EQ(segment.group(deepest)->depth, uint32_t{kMaxDepth});
  EXPECT_EQ(path_of(segment, deepest), path);
  EXPECT_TRUE(in_subtree(segment, deepest, kRootGroup));
  uint32_t group;
  EXPECT_EQ(create_group(segment, (path + "/d").c_str(), &group), ENOSPC);
  segment.group(deepest)->memory.charge(1);
  EXPECT_EQ(segment.group(kRootGroup)->memory.usage(), 1);
  segment.detach();
}

TEST_F(MemCgroupTest, SubtreesHoldThemselvesAndWhatIsBelow) {
  const uint32_t a = make_group(segment_, "/a");
  const uint32_t ab = make_group(segment_, "/a/b");
  const uint32_t c = make_group(segment_, "/c");
  EXPECT_TRUE(in_subtree(segment_, a, a));
  EXPECT_TRUE(in_subtree(segment_, ab, a));
  EXPECT_TRUE(in_subtree(segment_, ab, kRootGroup));
  EXPECT_FALSE(in_subtree(segment_, a, ab));
  EXPECT_FALSE(in_subtree(segment_, c, a));
  EXPECT_FALSE(in_subtree(segment_, kNone, kRootGroup));
}

TEST_F(MemCgroupTest, PathsAreCutToTheirBuffer) {
  const uint32_t group = make_group(segment_, "/abc/def");
  Text<6> path;
  group_path(segment_, group, path);
  EXPECT_STREQ(path.c_str(), "/abc/");
  EXPECT_EQ(path.wanted(), 8u);
}

TEST_F(MemCgroupTest, RowsThatDoNotExistHaveNoPathAndNoParent) {
  EXPECT_EQ(parent_group(segment_, kNone), kNone);
  EXPECT_EQ(parent_group(segment_, kSmall.groups), kNone);
  EXPECT_EQ(path_of(segment_, kSmall.groups), "");
}

TEST_F(MemCgroupTest, OfManyThreadsOneMakesTheGroup) {
  for (int round = 0; round < 10; ++round) {
    const std::string path = "/r" + std::to_string(round);
    std::vector<uint32_t> made(4, kNone);
    std::vector<std::thread> threads;
    for (uint32_t& group : made) {
      threads.emplace_back([&] {
        create_group(segment_, path.c_str(), &group);
        // Whoever finds it finds it whole.
        EXPECT_STREQ(segment_.group(group)->name, path.c_str() + 1);
      });
    }
    for (std::thread& thread : threads) thread.join();
    for (uint32_t group : made) ASSERT_EQ(group, made[0]);
  }
  EXPECT_EQ(segment_.groups_used(), 11u);
}

using MemCgroupFile = test::FileSegmentTest;

TEST_F(MemCgroupFile, OfManyProcessesOneMakesTheGroup) {
  struct Made {
    std::atomic<uint32_t> group[4];
  };
  test::Shared<Made> made;
  std::vector<std::unique_ptr<test::Child>> children;
  for (size_t i = 0; i < 4; ++i) {
    children.push_back(std::make_unique<test::Child>([&, i] {
      const char* why;
      Segment view;
      ASSERT_EQ(view.attach_file(path_.c_str(), &why), 0);
      for (int n = 0; n < 4; ++n) {
        make_group(view, "/a/b/" + std::to_string(n));
      }
      made->group[i] = find_group(view, "/a/b/3");
    }));
  }
  for (auto& child : children) EXPECT_EQ(child->wait(), 0);
  for (auto& group : made->group) EXPECT_EQ(group, made->group[0]);
  EXPECT_EQ(path_of(domain_, made->group[0]), "/a/b/3");
  EXPECT_EQ(domain_.groups_used(), 7u);
}

TEST_F(MemCgroupFile, ALockThatCannotBeHadIsAnError) {
  std::string moved = path_ + ".moved";
  ASSERT_EQ(std::rename(path_.c_str(), moved.c_str()), 0);
  uint32_t group;
  EXPECT_EQ(create_group(domain_, "/a", &group), EBUSY);
}

TEST(DefaultReserve, IsOnePercentWithinBounds) {
  EXPECT_EQ(default_reserve(0), 16);     // 64 KiB
  EXPECT_EQ(default_reserve(1600), 16);  // 6.25 MiB
  EXPECT_EQ(default_reserve(3000), 30);
  EXPECT_EQ(default_reserve(6400), 64);     // 25 MiB
  EXPECT_EQ(default_reserve(1 << 20), 64);  // 256 KiB
  EXPECT_EQ(default_reserve(kPageCounterMax), 64);
}

class ChildTest : public test::OwnSegmentTest {
 protected:
  static int child(uint32_t parent, uint64_t id, const std::string& name,
                   uint32_t* group) {
    return create_child(g_segment, parent, id, name.data(), name.size(), group);
  }
};

TEST_F(ChildTest, IsMadeWhereItsParentStillIs) {
  const uint32_t a = make_group(g_segment, "/a");
  const uint64_t id = group_id(g_segment, a);
  uint32_t made = kNone, again = kNone;
  ASSERT_EQ(child(a, id, "b", &made), 0);
  EXPECT_EQ(path_of(g_segment, made), "/a/b");
  EXPECT_EQ(child(a, id, "b", &again), EEXIST);
  EXPECT_EQ(child(a, id, "b\nc", &again), EINVAL);
  EXPECT_EQ(child(a, id + 1, "c", &again), ENOENT);
  ASSERT_EQ(remove_group(g_segment, made, group_id(g_segment, made)), 0);
  ASSERT_EQ(remove_group(g_segment, a, id), 0);
  EXPECT_EQ(child(a, id, "b", &again), ENOENT);
}

TEST_F(ChildTest, IsRemovedAsLongAsItIsTheSame) {
  const uint32_t a = make_group(g_segment, "/a");
  const uint64_t id = group_id(g_segment, a);
  EXPECT_EQ(remove_group(g_segment, a, id + 1), ENOENT);
  EXPECT_EQ(remove_group(g_segment, a, id), 0);
  EXPECT_EQ(remove_group(g_segment, a, id), ENOENT);
}

}  // namespace
}  // namespace umemcg
