// memory.high: how long, for how much, and how often.

#include "reclaim/throttle.h"

#include <signal.h>
#include <sys/time.h>

#include <thread>

#include "accounting/event.h"
#include "accounting/process.h"
#include "reclaim/charge.h"
#include "reclaim/charge_object.h"
#include "stock/charge_events.h"
#include "tests/unit/alloc/alloc_fixture.h"
#include "tests/unit/reclaim/heaps.h"

namespace umemcg {
namespace {

constexpr uint64_t kMs = 1'000'000;

// Within a part in a thousand, and a microsecond.
void expect_about(uint64_t want, uint64_t got) {
  const uint64_t apart = want > got ? want - got : got - want;
  EXPECT_LE(apart, want / 1000 + 1000) << want << " " << got;
}

TEST(HighDelay, IsPagesTimesTheSquareOfTheOverage) {
  expect_about(6'400'000, high_delay_ns(64, 101'000, 100'000));
  expect_about(160 * kMs, high_delay_ns(64, 105'000, 100'000));
  expect_about(640 * kMs, high_delay_ns(64, 110'000, 100'000));
  expect_about(10 * kMs, high_delay_ns(1, 110'000, 100'000));
  expect_about(1000 * kMs, high_delay_ns(1, 200'000, 100'000));
}

TEST(HighDelay, IsNothingUpToHigh) {
  EXPECT_EQ(0u, high_delay_ns(64, 100, 100));
  EXPECT_EQ(0u, high_delay_ns(64, 99, 100));
  EXPECT_EQ(0u, high_delay_ns(64, 0, 0));
  EXPECT_EQ(0u, high_delay_ns(0, 200, 100));
  EXPECT_EQ(0u, high_delay_ns(64, 100, kPageCounterMax));
}

TEST(HighDelay, IsTwoSecondsAtMost) {
  EXPECT_LT(high_delay_ns(64, 117'600, 100'000), kLongestDelayNs);
  EXPECT_EQ(kLongestDelayNs, high_delay_ns(64, 117'700, 100'000));
  EXPECT_EQ(kLongestDelayNs, high_delay_ns(1, 3, 0));
  EXPECT_EQ(kLongestDelayNs, high_delay_ns(1, kPageCounterMax, 1));
  EXPECT_EQ(kLongestDelayNs, high_delay_ns(INT64_MAX, 300, 100));
  EXPECT_EQ(kLongestDelayNs,
            high_delay_ns(64, kPageCounterMax, kPageCounterMax / 2));
  EXPECT_EQ(0u, high_delay_ns(1, kPageCounterMax, kPageCounterMax - 1));
}

TEST(HighDelay, GrowsWithBoth) {
  uint64_t before = 0;
  for (int64_t over = 0; over <= 20'000; over += 100) {
    const uint64_t delay = high_delay_ns(64, 100'000 + over, 100'000);
    EXPECT_GE(delay, before) << over;
    EXPECT_LE(high_delay_ns(32, 100'000 + over, 100'000), delay) << over;
    before = delay;
  }
}

class ThrottleTest : public AllocTest {
 protected:
  static constexpr int64_t kHigh = 1000;

  void SetUp() override {
    AllocTest::SetUp();
    t_context.exiting = false;
    acquire_line();
    install_reclaim({false});
    row().high.store(kHigh);
  }
  void TearDown() override {
    g_on_collect = nullptr;
    set_flags(0);
    AllocTest::TearDown();
  }

  Group& row() const { return *g_segment.group(account_->group); }
  static void set_flags(uint32_t flags) {
    ProcessSlot* slot = g_segment.process(this_process());
    ASSERT_NE(slot, nullptr);
    slot->flags.store(flags);
  }
  uint64_t high_events() const {
    return row().events[static_cast<int>(Event::kHigh)].load();
  }
  // The account is that much over high, and the thread owes for 32 pages.
  void go_over(int64_t pages) const {
    account_charge(*account_, kHigh + pages - usage(*account_));
    t_context.over_high = 0;
    charge_events(*account_, 32);
    ASSERT_EQ(32u, t_context.over_high);
  }
  static uint64_t timed_pay() {
    const uint64_t start = sys::monotonic_ns();
    handle_over_high();
    return sys::monotonic_ns() - start;
  }
};

TEST_F(ThrottleTest, OneWhoOwesNothingPaysNothing) {
  handle_over_high();
  EXPECT_EQ(0u, high_events());
}

// 32 pages at 1.7 %: 9.2 ms.
TEST_F(ThrottleTest, UpToTenMillisecondsNobodySleeps) {
  go_over(17);
  handle_over_high();
  EXPECT_EQ(0u, t_context.over_high);
  EXPECT_EQ(0u, account_->throttled_ns.load());
  EXPECT_EQ(1u, high_events());
}

// At 2 %: 12.8 ms, after 17 passes that got nothing.
TEST_F(ThrottleTest, ThenItSleepsAndCounts) {
  go_over(20);
  errno = EXDEV;
  EXPECT_GE(timed_pay(), 12 * kMs);
  EXPECT_EQ(EXDEV, errno);
  EXPECT_EQ(0u, t_context.over_high);
  EXPECT_EQ(17u, high_events());
  expect_about(12'800'000, account_->throttled_ns.load());
}

TEST_F(ThrottleTest, ALevelAboveThrottlesToo) {
  const uint32_t parent = new_group();
  Account& child = new_account(kPageCounterMax, parent);
  Group& above = *g_segment.group(parent);
  above.high.store(kHigh);
  account_charge(child, kHigh + 20);
  charge_events(child, 32);
  EXPECT_GE(timed_pay(), 12 * kMs);
  EXPECT_EQ(17u, above.events_local[static_cast<int>(Event::kHigh)].load());
  account_uncharge(child, kHigh + 20);
}

TEST_F(ThrottleTest, AnEpisodeEndsAfterFiveSecondsOfSleep) {
  go_over(500);  // two seconds a time
  account_->throttled_ns.store(kMostThrottledNs - 20 * kMs);
  const uint64_t slept = timed_pay();
  EXPECT_GE(slept, 20 * kMs);
  EXPECT_LT(slept, 1900 * kMs);
  const uint64_t before = high_events();
  for (int i = 0; i < 10; ++i) {
    go_over(500);
    handle_over_high();
    EXPECT_EQ(0u, t_context.over_high);
  }
  EXPECT_EQ(before + 10, high_events());
  expect_about(kMostThrottledNs, account_->throttled_ns.load());
}

TEST_F(ThrottleTest, ThreadsThatSleepTogetherAreCountedOnce) {
  go_over(30);  // 28.8 ms each
  const uint64_t start = sys::monotonic_ns();
  std::thread other([this] {
    charge_events(*account_, 32);
    handle_over_high();
    release_line();
  });
  handle_over_high();
  other.join();
  EXPECT_GE(account_->throttled_ns.load(), 28 * kMs);
  EXPECT_LE(account_->throttled_ns.load(), sys::monotonic_ns() - start);
  // The same again where it is known that they overlap.
  account_->throttled_ns.store(0);
  account_->throttled_until_ns.store(sys::monotonic_ns() + 1000 * kMs);
  go_over(30);
  EXPECT_GE(timed_pay(), 28 * kMs);
  EXPECT_EQ(0u, account_->throttled_ns.load());
}

TEST_F(ThrottleTest, WhereReclaimKeepsUpNobodySleeps) {
  TestRange range(8);
  t_context.exiting = true;  // exact charges
  ASSERT_TRUE(range.commit(0, 128));
  t_context.exiting = false;
  range.decommit(0, 128);
  account_->throttled_ns.store(3);
  go_over(100);
  handle_over_high();
  EXPECT_LE(usage(*account_), kHigh + 17);  // what nobody sleeps for
  EXPECT_EQ(0u, account_->throttled_ns.load());
  purge_all(*account_);
}

TEST_F(ThrottleTest, ASignalDoesNotEndTheSleep) {
  struct sigaction action = {};
  action.sa_handler = [](int) {};
  sigaction(SIGALRM, &action, nullptr);
  const itimerval often = {{0, 1000}, {0, 1000}};
  setitimer(ITIMER_REAL, &often, nullptr);
  go_over(40);  // 51.2 ms
  errno = 0;
  const uint64_t slept = timed_pay();
  const itimerval never = {};
  setitimer(ITIMER_REAL, &never, nullptr);
  EXPECT_GE(slept, 51 * kMs);
  EXPECT_EQ(0, errno);
}

TEST_F(ThrottleTest, ALimitThatIsRaisedWakes) {
  go_over(500);  // two seconds
  std::thread raiser([this] {
    sys::sleep_ns(20 * kMs);
    row().high.store(2 * kHigh);
  });
  EXPECT_LT(timed_pay(), 1900 * kMs);
  raiser.join();
}

TEST_F(ThrottleTest, WhoMayNotWaitStaysInDebt) {
  go_over(500);
  t_context.flags = kChargeNoWait;
  EXPECT_LT(timed_pay(), 1900 * kMs);
  EXPECT_EQ(32u, t_context.over_high);
  EXPECT_EQ(0u, high_events());
  t_context.flags = 0;
  t_context.reclaiming = true;
  handle_over_high();
  EXPECT_EQ(32u, t_context.over_high);
  t_context.reclaiming = false;
  // The worker reclaims for it, once.
  work_off_over_high();
  EXPECT_EQ(1u, high_events());
  work_off_over_high();
  EXPECT_EQ(1u, high_events());
}

TEST_F(ThrottleTest, WhoIsLeavingOwesNothing) {
  for (uint32_t flag : {kProcessExiting, kProcessVictim}) {
    go_over(500);
    set_flags(flag);
    EXPECT_LT(timed_pay(), 1900 * kMs);
    EXPECT_EQ(0u, t_context.over_high);
    EXPECT_EQ(0u, account_->throttled_ns.load());
    set_flags(0);
  }
}

TEST_F(ThrottleTest, AChargeOfAnObjectPaysAtItsEnd) {
  account_charge(*account_, kHigh + 20);
  ASSERT_EQ(0, charge_object(*account_, Kind::kMmap, 32 * kPageSize, 0));
  EXPECT_EQ(0u, t_context.over_high);
  EXPECT_LE(17u, high_events());
  uncharge_object(*account_, Kind::kMmap, 32 * kPageSize);
  const uint64_t before = high_events();
  ASSERT_EQ(
      0, charge_object(*account_, Kind::kMmap, 64 * kPageSize, kChargeNoWait));
  EXPECT_EQ(64u, t_context.over_high);
  EXPECT_EQ(before, high_events());
  uncharge_object(*account_, Kind::kMmap, 64 * kPageSize);
}

}  // namespace
}  // namespace umemcg
