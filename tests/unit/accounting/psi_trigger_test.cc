#include "accounting/psi_trigger.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "accounting/psi_average.h"
#include "tests/unit/accounting/fixture.h"

namespace umemcg {
namespace {

constexpr uint64_t kMs = 1000;
constexpr uint64_t kStart = 50'000 * kMs;
constexpr uint32_t kWindow = 1'000'000;
constexpr uint32_t kThreshold = 150'000;

TEST(PsiTriggerTest, WhatMayBeAskedFor) {
  PsiTrigger trigger;
  auto init = [&trigger](uint32_t threshold, uint32_t window) {
    return psi_trigger_init(trigger, kPsiSome, threshold, window, 1, 0);
  };
  EXPECT_EQ(init(1, 500'000), 0);
  EXPECT_EQ(init(500'000, 500'000), 0);
  EXPECT_EQ(init(10'000'000, 10'000'000), 0);
  EXPECT_EQ(init(1000, 1'234'567), 0) << "any window";
  EXPECT_EQ(init(0, 500'000), EINVAL);
  EXPECT_EQ(init(500'001, 500'000), EINVAL);
  EXPECT_EQ(init(1000, 499'999), EINVAL);
  EXPECT_EQ(init(1000, 10'000'001), EINVAL);
}

class PsiTriggerRunTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(psi_trigger_init(trigger_, kPsiSome, kThreshold, kWindow, kStart,
                               total_us_),
              0);
  }
  // Goes on for that long, with so much of each tenth of a window stalled; how
  // often it fired.
  int run(int tenths, uint64_t stalled_us) {
    int fired = 0;
    for (int i = 0; i < tenths; ++i) {
      now_us_ += kWindow / kPsiUpdatesPerWindow;
      total_us_ += stalled_us;
      if (psi_trigger_update(trigger_, now_us_, total_us_)) {
        last_fired_us_ = now_us_;
        ++fired;
      }
    }
    return fired;
  }

  uint64_t now_us_ = kStart;
  uint64_t total_us_ = 123'456;
  uint64_t last_fired_us_ = 0;
  PsiTrigger trigger_{};
};

TEST_F(PsiTriggerRunTest, BelowTheThresholdIsSilence) {
  EXPECT_EQ(run(1000, 13 * kMs), 0);
}

TEST_F(PsiTriggerRunTest, FiresAtTheThresholdAndOnceAWindow) {
  EXPECT_EQ(run(1, 149 * kMs), 0);
  EXPECT_EQ(run(1, kMs), 1);
  EXPECT_EQ(last_fired_us_, kStart + 200 * kMs);
  // What comes at once waits for the window's end, and is told then.
  EXPECT_EQ(run(9, 50 * kMs), 0);
  EXPECT_EQ(run(1, 0), 1);
  EXPECT_EQ(last_fired_us_, kStart + 1200 * kMs);
}

TEST_F(PsiTriggerRunTest, UnderSteadyPressureItFiresOncePerWindow) {
  EXPECT_EQ(run(200, 50 * kMs), 20);
  // Then it is quiet. (What passed the threshold last is told still.)
  run(25, 0);
  EXPECT_EQ(run(1000, 0), 0);
}

// 100 ms at the end of one window and 100 ms at the beginning of the next are
// 200 ms within a window's length: the last one counts by its share.
TEST_F(PsiTriggerRunTest, TheWindowBeforeCountsByWhatIsLeftOfIt) {
  EXPECT_EQ(run(8, 0), 0);
  EXPECT_EQ(run(1, 1), 0);  // the window begins at the first stall
  EXPECT_EQ(run(8, 0), 0);
  EXPECT_EQ(run(2, 50 * kMs), 0);
  EXPECT_EQ(run(1, 50 * kMs), 0) << "50 + 90 % of 100";
  EXPECT_EQ(run(1, 50 * kMs), 1) << "100 + 80 % of 100";
}

TEST_F(PsiTriggerRunTest, ALongPauseIsNoWindow) {
  EXPECT_EQ(run(2, 70 * kMs), 0);
  EXPECT_EQ(run(60, 0), 0);
  EXPECT_EQ(run(1, 70 * kMs), 0);
}

TEST_F(PsiTriggerRunTest, IsAskedATenthOfAWindowLaterOrAWholeOneWhenIdle) {
  EXPECT_EQ(psi_trigger_next(trigger_), (now_us_ + 100 * kMs) * 1000);
  run(1, kMs);
  EXPECT_EQ(psi_trigger_next(trigger_), (now_us_ + 100 * kMs) * 1000);
  run(30, 0);
  EXPECT_EQ(psi_trigger_next(trigger_), (now_us_ + 1000 * kMs) * 1000);
  run(1, kMs);
  EXPECT_EQ(psi_trigger_next(trigger_), (now_us_ + 100 * kMs) * 1000);
}

// The row is another group's by now, or the machine was started anew.
TEST_F(PsiTriggerRunTest, FiguresThatGoBackAreABeginning) {
  total_us_ = 0;
  EXPECT_EQ(run(1, 100 * kMs), 0);
  now_us_ = kMs;
  EXPECT_EQ(run(1, 100 * kMs), 0);
  EXPECT_EQ(run(2, 100 * kMs), 1);
}

class PsiTriggerGroupTest : public test::PrivateSegmentTest {};

TEST_F(PsiTriggerGroupTest, AsksAGroupAndIsToldOfStalls) {
  const uint32_t group = test::make_group(segment_, "/a");
  PsiGroup& psi = test::group_at(segment_, group).psi;
  PsiTrigger trigger;
  EXPECT_EQ(psi_trigger_start(trigger, segment_, group, kPsiFull, 0, kWindow,
                              kStart * 1000),
            EINVAL);
  EXPECT_EQ(psi.triggers, 0u);
  ASSERT_EQ(psi_trigger_start(trigger, segment_, group, kPsiFull, kThreshold,
                              kWindow, kStart * 1000),
            0);
  EXPECT_EQ(psi.triggers, 1u);
  EXPECT_FALSE(psi_trigger_due(trigger, segment_, group, kStart * 1000));
  psi_add_stalled(psi, kStart, 1);
  uint64_t now = kStart + kThreshold - 1;
  EXPECT_FALSE(psi_trigger_due(trigger, segment_, group, now * 1000));
  EXPECT_TRUE(psi_trigger_due(trigger, segment_, group, (now + 1) * 1000));
  // While somebody stands still, it is not idle: that may become full.
  psi_set_productive(psi, now + 1, true);
  for (int i = 0; i < 50; ++i) {
    now += kWindow / kPsiUpdatesPerWindow;
    psi_trigger_due(trigger, segment_, group, now * 1000);
  }
  EXPECT_EQ(psi_trigger_next(trigger),
            (now + kWindow / kPsiUpdatesPerWindow) * 1000);
}

}  // namespace
}  // namespace umemcg
