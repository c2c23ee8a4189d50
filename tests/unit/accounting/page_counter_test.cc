// What one thread sees. Races: page_counter_race_test.cc; the kernel's own
// outcomes: page_counter_replay; sequences: page_counter_model_test.cc.

#include "accounting/page_counter.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "tests/unit/support/child.h"

namespace umemcg {
namespace {

using Limit = PageCounter::Limit;

// root <- middle <- leaf
class PageCounterTest : public testing::Test {
 protected:
  void SetUp() override {
    root_.init(nullptr, true);
    middle_.init(&root_, true);
    leaf_.init(&middle_, true);
  }

  PageCounter root_, middle_, leaf_;
  PageCounter* failed_ = nullptr;
};

TEST_F(PageCounterTest, StartsEmptyAndUnlimited) {
  EXPECT_EQ(leaf_.usage(), 0);
  EXPECT_EQ(leaf_.max(), kPageCounterMax);
  EXPECT_EQ(leaf_.min(), 0);
  EXPECT_EQ(leaf_.low(), 0);
  EXPECT_EQ(leaf_.watermark(), 0);
  EXPECT_EQ(leaf_.failcnt(), 0u);
  EXPECT_EQ(leaf_.parent(), &middle_);
  EXPECT_EQ(root_.parent(), nullptr);
}

TEST_F(PageCounterTest, InitForgetsAnEarlierLife) {
  leaf_.charge(5);
  ASSERT_EQ(leaf_.set_max(5), 0);
  leaf_.set_min(3);
  leaf_.set_low(4);
  leaf_.set_reserve(2);
  EXPECT_FALSE(leaf_.try_charge(1, &failed_));
  leaf_.init(&root_, true);
  EXPECT_EQ(leaf_.parent(), &root_);
  EXPECT_EQ(leaf_.usage(), 0);
  EXPECT_EQ(leaf_.max(), kPageCounterMax);
  EXPECT_EQ(leaf_.min(), 0);
  EXPECT_EQ(leaf_.low(), 0);
  EXPECT_EQ(leaf_.reserve(), 0);
  EXPECT_EQ(leaf_.watermark(), 0);
  EXPECT_EQ(leaf_.failcnt(), 0u);
  EXPECT_EQ(leaf_.min_usage(), 0);
  EXPECT_EQ(leaf_.low_usage(), 0);
}

TEST_F(PageCounterTest, ChargesEveryLevelAbove) {
  leaf_.charge(10);
  middle_.charge(5);
  EXPECT_EQ(leaf_.usage(), 10);
  EXPECT_EQ(middle_.usage(), 15);
  EXPECT_EQ(root_.usage(), 15);
  leaf_.uncharge(4);
  EXPECT_EQ(leaf_.usage(), 6);
  EXPECT_EQ(middle_.usage(), 11);
  EXPECT_EQ(root_.usage(), 11);
}

TEST_F(PageCounterTest, ALimitMayBeMetButNotExceeded) {
  ASSERT_EQ(middle_.set_max(10), 0);
  EXPECT_TRUE(leaf_.try_charge(10, &failed_));
  EXPECT_EQ(middle_.margin(), 0);
  EXPECT_FALSE(leaf_.try_charge(1, &failed_));
  EXPECT_EQ(failed_, &middle_);
  EXPECT_TRUE(root_.try_charge(1, &failed_));
}

TEST_F(PageCounterTest, ARefusalChargesNothing) {
  ASSERT_EQ(root_.set_max(10), 0);
  EXPECT_FALSE(leaf_.try_charge(11, &failed_));
  EXPECT_EQ(failed_, &root_);
  EXPECT_EQ(leaf_.usage(), 0);
  EXPECT_EQ(middle_.usage(), 0);
  EXPECT_EQ(root_.usage(), 0);
  EXPECT_EQ(root_.failcnt(), 1u);
  EXPECT_EQ(leaf_.failcnt(), 0u);
  // The kernel's way: the levels below were charged for a moment.
  EXPECT_EQ(leaf_.watermark(), 11);
  EXPECT_EQ(root_.watermark(), 0);
}

// The add-check-undo path refuses as well: the limit is far, the request is
// farther.
TEST_F(PageCounterTest, ARefusalFarBelowTheLimitChargesNothing) {
  constexpr int64_t kMax = 1'000'000;
  ASSERT_EQ(root_.set_max(kMax), 0);
  EXPECT_FALSE(leaf_.try_charge(kMax + 1, &failed_));
  EXPECT_FALSE(leaf_.try_charge(kPageCounterMax, &failed_));
  EXPECT_EQ(leaf_.usage(), 0);
  EXPECT_EQ(root_.usage(), 0);
  EXPECT_TRUE(leaf_.try_charge(kMax, &failed_));
}

TEST_F(PageCounterTest, UnlimitedHasALimitToo) {
  EXPECT_TRUE(leaf_.try_charge(kPageCounterMax, &failed_));
  EXPECT_FALSE(leaf_.try_charge(1, &failed_));
  EXPECT_EQ(failed_, &leaf_);
  EXPECT_EQ(leaf_.usage(), kPageCounterMax);
}

TEST_F(PageCounterTest, AFailureIsCountedOnlyIfAskedFor) {
  ASSERT_EQ(root_.set_max(0), 0);
  EXPECT_FALSE(leaf_.try_charge(1, &failed_, Limit::kMax, false));
  EXPECT_EQ(root_.failcnt(), 0u);
  root_.count_failure();
  EXPECT_EQ(root_.failcnt(), 1u);
}

TEST_F(PageCounterTest, TheReserveLiesOnTopOfMax) {
  ASSERT_EQ(leaf_.set_max(10), 0);
  leaf_.set_reserve(3);
  EXPECT_FALSE(leaf_.try_charge(11, &failed_));
  EXPECT_TRUE(leaf_.try_charge(11, &failed_, Limit::kMaxAndReserve));
  EXPECT_TRUE(leaf_.try_charge(2, &failed_, Limit::kMaxAndReserve));
  EXPECT_FALSE(leaf_.try_charge(1, &failed_, Limit::kMaxAndReserve));
  EXPECT_EQ(leaf_.usage(), 13);
  EXPECT_EQ(leaf_.margin(), 0);
  leaf_.uncharge(3);
  EXPECT_FALSE(leaf_.try_charge(1, &failed_));
}

// Without a limit there is nothing for a reserve to lie on.
TEST_F(PageCounterTest, UnlimitedHasNoReserve) {
  root_.set_reserve(3);
  root_.charge(kPageCounterMax);
  EXPECT_FALSE(root_.try_charge(1, &failed_, Limit::kMaxAndReserve));
}

TEST_F(PageCounterTest, SetMaxRefusesBelowTheUsage) {
  leaf_.charge(10);
  EXPECT_EQ(leaf_.set_max(9), -EBUSY);
  EXPECT_EQ(leaf_.max(), kPageCounterMax);
  EXPECT_EQ(leaf_.set_max(10), 0);
  EXPECT_EQ(leaf_.set_max(9), -EBUSY);
  EXPECT_EQ(leaf_.max(), 10);
  // It looks at its own usage only.
  EXPECT_EQ(root_.set_max(10), 0);
  EXPECT_EQ(root_.set_max(9), -EBUSY);
}

TEST_F(PageCounterTest, StoreMaxTakesAnyValue) {
  leaf_.charge(10);
  leaf_.store_max(2);
  EXPECT_EQ(leaf_.max(), 2);
  EXPECT_EQ(leaf_.margin(), 0);
  EXPECT_FALSE(leaf_.try_charge(1, &failed_));
  // Over the limit already: raising it is still allowed only above the usage.
  EXPECT_EQ(leaf_.set_max(9), -EBUSY);
  EXPECT_EQ(leaf_.set_max(11), 0);
  EXPECT_TRUE(leaf_.try_charge(1, &failed_));
}

TEST_F(PageCounterTest, TheWatermarkIsThePeakSinceItsReset) {
  leaf_.charge(10);
  leaf_.uncharge(8);
  EXPECT_EQ(leaf_.watermark(), 10);
  EXPECT_EQ(root_.watermark(), 10);
  leaf_.reset_watermark();
  EXPECT_EQ(leaf_.watermark(), 2);
  EXPECT_EQ(root_.watermark(), 10);
  EXPECT_TRUE(leaf_.try_charge(3, &failed_));
  EXPECT_EQ(leaf_.watermark(), 5);
}

TEST_F(PageCounterTest, ProtectedUsageIsTheSmallerOfUsageAndSetting) {
  leaf_.set_min(10);
  leaf_.set_low(20);
  leaf_.charge(15);
  EXPECT_EQ(leaf_.min_usage(), 10);
  EXPECT_EQ(leaf_.low_usage(), 15);
  EXPECT_EQ(middle_.children_min_usage(), 10);
  EXPECT_EQ(middle_.children_low_usage(), 15);
  leaf_.uncharge(9);
  EXPECT_EQ(leaf_.min_usage(), 6);
  EXPECT_EQ(middle_.children_min_usage(), 6);
  EXPECT_EQ(middle_.children_low_usage(), 6);
  leaf_.set_min(0);
  EXPECT_EQ(middle_.children_min_usage(), 0);
}

TEST_F(PageCounterTest, TheRootHasNoProtectedUsage) {
  root_.set_min(10);
  root_.set_low(10);
  leaf_.charge(10);
  EXPECT_EQ(root_.min_usage(), 0);
  EXPECT_EQ(root_.low_usage(), 0);
}

TEST_F(PageCounterTest, ARefusalGivesProtectedUsageBack) {
  ASSERT_EQ(root_.set_max(5), 0);
  leaf_.set_low(10);
  leaf_.charge(2);
  EXPECT_FALSE(leaf_.try_charge(4, &failed_));
  EXPECT_EQ(leaf_.low_usage(), 2);
  EXPECT_EQ(middle_.children_low_usage(), 2);
}

TEST_F(PageCounterTest, WithoutProtectionOnlySettingsBringItUpToDate) {
  leaf_.init(&middle_, false);
  leaf_.set_low(10);
  leaf_.charge(5);
  EXPECT_EQ(leaf_.low_usage(), 0);
  leaf_.set_low(10);
  EXPECT_EQ(leaf_.low_usage(), 5);
  leaf_.uncharge(5);
  EXPECT_EQ(leaf_.low_usage(), 5);
}

TEST_F(PageCounterTest, CancelTakesBackOneLevelOnly) {
  leaf_.charge(5);
  leaf_.cancel(2);
  EXPECT_EQ(leaf_.usage(), 3);
  EXPECT_EQ(middle_.usage(), 5);
}

// In a child: the warning is given once a process.
TEST_F(PageCounterTest, AnUnderflowIsRepairedAndSaidOnce) {
  test::ChildOutcome outcome = test::run_child([&] {
    leaf_.charge(5);
    middle_.charge(5);
    leaf_.uncharge(7);
    EXPECT_EQ(leaf_.usage(), 0);
    EXPECT_EQ(middle_.usage(), 3);
    leaf_.cancel(1);
    EXPECT_EQ(leaf_.usage(), 0);
    EXPECT_TRUE(leaf_.try_charge(1, &failed_));
    EXPECT_EQ(leaf_.usage(), 1);
  });
  EXPECT_EQ(outcome.code, 0);
  EXPECT_EQ(outcome.error_text,
            "umemcg: warning: a page counter fell below 0: more pages were "
            "uncharged than charged; set to 0\n");
}

TEST_F(PageCounterTest, KeepsErrno) {
  errno = 22;
  ASSERT_EQ(leaf_.set_max(4), 0);
  leaf_.charge(4);
  EXPECT_FALSE(leaf_.try_charge(1, &failed_));
  EXPECT_EQ(leaf_.set_max(1), -EBUSY);
  leaf_.uncharge(4);
  EXPECT_EQ(errno, 22);
}

}  // namespace
}  // namespace umemcg
