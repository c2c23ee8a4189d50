// umemcg_set and umemcg_get.

#include "tests/api/support.h"

namespace api_test {
namespace {

TEST(Control, WrittenAndReadBack) {
  Opened group("/control");
  EXPECT_EQ(get(group, "memory.max"), "max\n");
  EXPECT_EQ(umemcg_set(group, "memory.max", "512M"), 0);
  EXPECT_EQ(get(group, "memory.max"), "536870912\n");
  EXPECT_EQ(umemcg_set(group, "memory.max", " 8K\n"), 0);
  EXPECT_EQ(get(group, "memory.max"), "8192\n");
  EXPECT_EQ(umemcg_set(group, "memory.max", "max"), 0);
  EXPECT_EQ(get(group, "memory.max"), "max\n");
}

TEST(Control, NullIsTheProcess) {
  EXPECT_EQ(umemcg_set(nullptr, "memory.low", "4096"), 0);
  EXPECT_EQ(get(nullptr, "memory.low"), "4096\n");
  Opened own(path(nullptr).c_str(), 0);
  EXPECT_EQ(get(own, "memory.low"), "4096\n");
}

TEST(Control, KeepsErrno) {
  Opened group("/control/errno");
  char text[32];
  errno = 9;
  EXPECT_EQ(umemcg_set(group, "memory.max", "1G"), 0);
  EXPECT_EQ(umemcg_get(group, "memory.max", text, sizeof(text)), 11);
  EXPECT_EQ(errno, 9);
}

int set_error(umemcg_group* group, const char* file, const char* value) {
  return error_of([=] { EXPECT_EQ(umemcg_set(group, file, value), -1); });
}

TEST(Control, WhatCannotBeWritten) {
  Opened group("/control/bad");
  EXPECT_EQ(set_error(group, "memory.mix", "1"), ENOENT);
  EXPECT_EQ(set_error(group, "", "1"), ENOENT);
  EXPECT_EQ(set_error(group, "memory.current", "1"), EINVAL);
  EXPECT_EQ(set_error(group, "memory.max", "much"), EINVAL);
  EXPECT_EQ(set_error(group, "memory.max", ""), EINVAL);
  EXPECT_EQ(set_error(group, "cgroup.procs", "2147483647"), ESRCH);
  Opened root("/", 0);
  EXPECT_EQ(set_error(root, "memory.max", "1G"), EINVAL);
  EXPECT_EQ(get(group, "memory.max"), "max\n");
}

TEST(Control, WhatCannotBeRead) {
  char text[32];
  EXPECT_EQ(error_of([&] {
              EXPECT_EQ(umemcg_get(nullptr, "memory.mix", text, sizeof(text)),
                        -1);
            }),
            ENOENT);
}

TEST(Control, NullIsNoFileAndNoValue) {
  Opened group("/control/null");
  char text[32];
  for (umemcg_group* of : {static_cast<umemcg_group*>(group),
                           static_cast<umemcg_group*>(nullptr)}) {
    EXPECT_EQ(set_error(of, nullptr, "1"), EINVAL);
    EXPECT_EQ(set_error(of, "memory.max", nullptr), EINVAL);
    EXPECT_EQ(error_of([&] { umemcg_get(of, nullptr, text, sizeof(text)); }),
              EINVAL);
    EXPECT_EQ(error_of([&] { umemcg_get(of, nullptr, nullptr, 0); }), EINVAL);
    EXPECT_EQ(error_of([&] { umemcg_get(of, "memory.max", nullptr, 10); }),
              EINVAL);
  }
}

TEST(Control, WhatDoesNotFitIsCut) {
  Opened group("/control/cut");
  ASSERT_EQ(umemcg_set(group, "memory.max", "512M"), 0);
  char text[5] = "....";
  EXPECT_EQ(umemcg_get(group, "memory.max", text, sizeof(text)), 10);
  EXPECT_STREQ(text, "5368");
  EXPECT_EQ(umemcg_get(group, "memory.max", text, 1), 10);
  EXPECT_STREQ(text, "");
  EXPECT_EQ(umemcg_get(group, "memory.max", nullptr, 0), 10);
}

TEST(Control, NoMemoryFilesWithoutTheController) {
  Opened parent("/control/off"), child("/control/off/child");
  EXPECT_EQ(get(child, "memory.max"), "max\n");
  ASSERT_EQ(umemcg_set(parent, "cgroup.subtree_control", "-memory"), 0);
  char text[32];
  EXPECT_EQ(
      error_of([&] { umemcg_get(child, "memory.max", text, sizeof(text)); }),
      ENOENT);
  EXPECT_EQ(set_error(child, "memory.max", "1M"), ENOENT);
}

// A lower limit takes back at once what the process keeps for later use.
TEST(Control, ALowerLimitGivesBackFreeMemory) {
  Opened group("/control/lower");
  void* block = touched(umemcg_malloc(group, 20 * kMiB), 20 * kMiB);
  ASSERT_NE(block, nullptr);
  umemcg_free(block);
  ASSERT_EQ(umemcg_set(group, "memory.max", "1M"), 0);
  EXPECT_LE(number(group, "memory.current"), int64_t{kMiB});
}

}  // namespace
}  // namespace api_test
