// Knowing that one is a child.

#include <gtest/gtest.h>

#include <cerrno>

#include "alloc/fork.h"
#include "tests/unit/alloc/range_support.h"
#include "tests/unit/support/child.h"

namespace umemcg {
namespace {

int g_noticed = 0;

class ForkPageTest : public ::testing::Test {
 protected:
  void SetUp() override {
    g_noticed = 0;
    g_fork_child_hook.install([] {
      mark_this_process();
      ++g_noticed;
    });
  }
};

// In this order: before the page is mapped there is nothing to notice.
TEST_F(ForkPageTest, WithoutAPageNobodyIsAChild) {
  check_fork();
  EXPECT_EQ(0, g_noticed);
  {
    FailCalls map(FailCalls::kMap, ENOMEM);
    map_fork_page();
  }
  {
    FailCalls advise(FailCalls::kAdvise, EINVAL);  // an old kernel
    map_fork_page();
  }
  test::Child child([] {
    check_fork();
    EXPECT_EQ(0, g_noticed);
  });
  EXPECT_EQ(0, child.wait());
}

TEST_F(ForkPageTest, AChildNoticesOnceAndItsParentNever) {
  map_fork_page();
  check_fork();
  EXPECT_EQ(0, g_noticed);
  test::Child child([] {
    check_fork();
    EXPECT_EQ(1, g_noticed);
    check_fork();
    EXPECT_EQ(1, g_noticed);
    test::Child grandchild([] {
      check_fork();
      EXPECT_EQ(2, g_noticed);
    });
    EXPECT_EQ(0, grandchild.wait());
  });
  EXPECT_EQ(0, child.wait());
  check_fork();
  EXPECT_EQ(0, g_noticed);
}

}  // namespace
}  // namespace umemcg
