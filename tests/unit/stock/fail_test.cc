#include "stock/fail.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "stock/charge.h"
#include "stock/current.h"
#include "tests/unit/stock/world.h"

namespace umemcg {
namespace {

class FailTest : public testing::Test {
 protected:
  FailTest() {
    start_world();
    account_ = &new_account();
  }
  ~FailTest() override {
    set_fail("charge:prob=0");
    end_injected();
  }

  // Which of that many charges of a page failed, from 1.
  std::vector<int> failures(int charges) {
    std::vector<int> failed;
    for (int i = 1; i <= charges; ++i) {
      PageCounter* counter = nullptr;
      if (!try_charge(*account_, 1, &counter)) {
        EXPECT_EQ(nullptr, counter);  // nobody's limit
        failed.push_back(i);
        EXPECT_TRUE(take_injected(false));
      }
    }
    return failed;
  }

  Account* account_;
};

TEST_F(FailTest, EveryNthChargeFailsAndTheOthersAreExact) {
  ASSERT_TRUE(set_fail("charge:every=3"));
  const std::vector<int> failed = failures(12);
  ASSERT_EQ(4u, failed.size());
  for (size_t i = 1; i < failed.size(); ++i) {
    EXPECT_EQ(3, failed[i] - failed[i - 1]);
  }
  EXPECT_EQ(8, usage(*account_));  // nothing ahead
}

TEST_F(FailTest, AllAfterTheFirstN) {
  ASSERT_TRUE(set_fail("charge:after=0"));
  EXPECT_EQ(5u, failures(5).size());
  EXPECT_EQ(0, usage(*account_));
}

TEST_F(FailTest, ByChanceAsOftenAsSaid) {
  ASSERT_TRUE(set_fail("charge:prob=0.25"));
  const size_t failed = failures(4000).size();
  EXPECT_GT(failed, 800u);
  EXPECT_LT(failed, 1200u);
  ASSERT_TRUE(set_fail("charge:prob=1"));
  EXPECT_EQ(10u, failures(10).size());
}

TEST_F(FailTest, AnAllocationFailsUntilItHasGivenUp) {
  ASSERT_TRUE(set_fail("charge:every=2"));
  PageCounter* counter = nullptr;
  while (try_charge(*account_, 1, &counter)) {
  }
  EXPECT_TRUE(take_injected(true));
  for (int range = 0; range < 5; ++range) {
    EXPECT_FALSE(try_charge(*account_, 1, &counter));
  }
  end_injected();
  EXPECT_TRUE(try_charge(*account_, 1, &counter));
}

TEST_F(FailTest, WhatMayNotFailDoesNot) {
  ASSERT_TRUE(set_fail("charge:prob=1"));
  NoFailScope scope(account_);
  PageCounter* counter = nullptr;
  EXPECT_TRUE(try_charge(*account_, 1, &counter));
}

TEST_F(FailTest, PressureIsForced) {
  ASSERT_TRUE(set_fail("pressure:medium"));
  EXPECT_EQ(0u, failures(10).size());
  const auto& windows =
      g_segment.group(account_->charged.load())->pressure.windows;
  EXPECT_EQ(1u, windows[static_cast<int>(PressureLevel::kMedium)].load());
}

TEST_F(FailTest, WhatCanBeSaid) {
  for (const char* good :
       {"charge:every=1", "charge:after=10", "charge:prob=0.5", "charge:prob=1",
        "pressure:low", "pressure:critical", "shrinker:delay=250",
        "charge:every=10,pressure:medium,shrinker:delay=5"}) {
    EXPECT_TRUE(set_fail(good)) << good;
  }
  EXPECT_EQ(5'000'000u, injected_shrinker_delay_ns());
  for (const char* bad :
       {"", "charge", "charge:", "charge:every",
        "charge:every=", "charge:every=0", "charge:every=1x", "charge:every=-1",
        "charge:prob=1.5", "charge:prob=2", "charge:prob=a",
        "pressure:", "pressure:none", "shrinker:delay=3600001",
        "charge:every=2,", ",charge:every=2", "charge:every=2;pressure:low",
        "every=2", "charge:every=99999999999999999999"}) {
    EXPECT_FALSE(set_fail(bad)) << bad;
  }
  EXPECT_EQ(5'000'000u, injected_shrinker_delay_ns());  // as it was
}

}  // namespace
}  // namespace umemcg
