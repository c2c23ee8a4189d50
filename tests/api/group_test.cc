// umemcg_group_open, _close, _remove, _path, _ino.

#include "tests/api/support.h"

namespace api_test {
namespace {

TEST(Open, MakesTheGroupAndThoseAboveIt) {
  Opened group("/open/deep/down");
  EXPECT_EQ(path(group), "/open/deep/down");
  Opened above("/open/deep", 0);
  EXPECT_EQ(path(above), "/open/deep");
}

TEST(Open, TheLeadingSlashMayBeLeftOut) {
  Opened with("/slash/a"), without("slash/a", 0);
  EXPECT_EQ(umemcg_group_ino(with), umemcg_group_ino(without));
}

TEST(Open, TheRoot) {
  Opened root("/", 0);
  EXPECT_EQ(path(root), "/");
}

TEST(Open, KeepsErrno) {
  errno = 7;
  Opened group("/kept");
  EXPECT_EQ(errno, 7);
}

int open_error(const char* at, int flags) {
  return error_of(
      [=] { EXPECT_EQ(umemcg_group_open(at, flags), nullptr) << at; });
}

TEST(Open, NoSuchGroup) { EXPECT_EQ(open_error("/missing", 0), ENOENT); }

TEST(Open, ExclusiveOnlyOnce) {
  Opened first("/once", UMEMCG_CREATE | UMEMCG_EXCL);
  EXPECT_EQ(open_error("/once", UMEMCG_CREATE | UMEMCG_EXCL), EEXIST);
  Opened again("/once", UMEMCG_CREATE);
}

TEST(Open, WhatIsNoPath) {
  const std::string long_name = "/" + std::string(256, 'n');
  for (const char* bad : {"/a/./b", "/..", "/a\nb", long_name.c_str()}) {
    EXPECT_EQ(open_error(bad, UMEMCG_CREATE), EINVAL) << bad;
    EXPECT_EQ(open_error(bad, 0), EINVAL) << bad;
  }
  EXPECT_EQ(open_error(nullptr, UMEMCG_CREATE), EINVAL);
}

TEST(Open, UnknownFlags) { EXPECT_EQ(open_error("/flags", 64), EINVAL); }

TEST(Open, LongestName) {
  const std::string name = "/" + std::string(255, 'n');
  Opened group(name.c_str());
  EXPECT_EQ(path(group), name);
}

TEST(Open, TooDeep) {
  std::string deep;
  for (int i = 0; i < 40; ++i) deep += "/d";
  EXPECT_EQ(open_error(deep.c_str(), UMEMCG_CREATE), ENOSPC);
}

TEST(Open, MaxDescendants) {
  Opened parent("/few");
  ASSERT_EQ(umemcg_set(parent, "cgroup.max.descendants", "1"), 0);
  Opened child("/few/1");
  EXPECT_EQ(open_error("/few/2", UMEMCG_CREATE), EAGAIN);
}

TEST(Path, OfTheProcess) {
  EXPECT_EQ(path(nullptr).front(), '/');
  EXPECT_GT(path(nullptr).size(), 1u);
}

TEST(Path, DoesNotFit) {
  Opened group("/path/of/some/length");
  char small[8];
  EXPECT_EQ(error_of([&] {
              EXPECT_EQ(umemcg_group_path(group, small, sizeof(small)),
                        nullptr);
            }),
            ERANGE);
  EXPECT_EQ(
      error_of([&] { EXPECT_EQ(umemcg_group_path(group, small, 0), nullptr); }),
      ERANGE);
}

TEST(Path, NowhereToWriteIt) {
  Opened group("/path/null");
  for (umemcg_group* of : {static_cast<umemcg_group*>(group),
                           static_cast<umemcg_group*>(nullptr)}) {
    for (size_t size : {0u, 10u}) {
      EXPECT_EQ(error_of([=] {
                  EXPECT_EQ(umemcg_group_path(of, nullptr, size), nullptr);
                }),
                EINVAL);
    }
  }
}

TEST(Path, JustFits) {
  Opened group("/fits");
  char text[6];
  EXPECT_STREQ(umemcg_group_path(group, text, sizeof(text)), "/fits");
}

TEST(Ino, OneForEachGroup) {
  Opened a("/ino/a"), b("/ino/b");
  EXPECT_NE(umemcg_group_ino(a), 0u);
  EXPECT_NE(umemcg_group_ino(a), umemcg_group_ino(b));
  EXPECT_NE(umemcg_group_ino(nullptr), 0u);
}

TEST(Ino, OutlivesTheGroupAndIsNotUsedAgain) {
  Opened before("/reborn");
  const uint64_t ino = umemcg_group_ino(before);
  ASSERT_EQ(umemcg_group_remove("/reborn"), 0);
  EXPECT_EQ(umemcg_group_ino(before), ino);
  Opened after("/reborn");
  EXPECT_NE(umemcg_group_ino(after), ino);
}

int remove_error(const char* at) {
  return error_of([=] { EXPECT_EQ(umemcg_group_remove(at), -1) << at; });
}

TEST(Remove, AnEmptyGroup) {
  { Opened group("/empty"); }
  EXPECT_EQ(umemcg_group_remove("/empty"), 0);
  EXPECT_EQ(remove_error("/empty"), ENOENT);
  EXPECT_EQ(open_error("/empty", 0), ENOENT);
}

TEST(Remove, WhatIsNotThereOrNoPath) {
  EXPECT_EQ(remove_error("/never/was"), ENOENT);
  EXPECT_EQ(remove_error("/a//../b"), EINVAL);
  EXPECT_EQ(remove_error(nullptr), EINVAL);
}

TEST(Remove, TheRootTheProcessesAndWithChildren) {
  Opened child("/parent/child");
  EXPECT_EQ(remove_error("/"), EBUSY);
  EXPECT_EQ(remove_error(path(nullptr).c_str()), EBUSY);
  EXPECT_EQ(remove_error("/parent"), EBUSY);
  EXPECT_EQ(umemcg_group_remove("/parent/child"), 0);
  EXPECT_EQ(umemcg_group_remove("/parent"), 0);
}

TEST(Remove, WithAThreadInside) {
  Opened group("/inside");
  ASSERT_EQ(umemcg_thread_set(group, nullptr), 0);
  EXPECT_EQ(remove_error("/inside"), EBUSY);
  ASSERT_EQ(umemcg_thread_set(nullptr, nullptr), 0);
  EXPECT_EQ(umemcg_group_remove("/inside"), 0);
}

TEST(Remove, HandlesSayThatItIsGone) {
  Opened group("/gone");
  ASSERT_EQ(umemcg_group_remove("/gone"), 0);
  char text[64];
  EXPECT_EQ(error_of([&] {
              EXPECT_EQ(umemcg_group_path(group, text, sizeof(text)), nullptr);
            }),
            ENODEV);
  EXPECT_EQ(error_of([&] {
              EXPECT_EQ(umemcg_get(group, "memory.max", text, sizeof(text)),
                        -1);
            }),
            ENODEV);
  EXPECT_EQ(
      error_of([&] { EXPECT_EQ(umemcg_set(group, "memory.max", "1M"), -1); }),
      ENODEV);
}

// A new group of the same name, in the same place perhaps, is another group.
TEST(Remove, HandlesDoNotMeanTheNextGroup) {
  for (int i = 0; i < 100; ++i) {
    Opened before("/again");
    ASSERT_EQ(umemcg_group_remove("/again"), 0);
    Opened after("/again");
    ASSERT_EQ(umemcg_set(after, "memory.max", "5M"), 0);
    ASSERT_EQ(umemcg_set(before, "memory.max", "7M"), -1);
    ASSERT_EQ(get(after, "memory.max"), "5242880\n");
    ASSERT_EQ(umemcg_group_remove("/again"), 0);
  }
}

}  // namespace
}  // namespace api_test
