// How charges behave at a limit, by their flags: objects, and memory of the
// heap in a thread that has flags.

#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <thread>

#include "accounting/event.h"
#include "accounting/gate.h"
#include "accounting/process.h"
#include "reclaim/charge.h"
#include "reclaim/charge_object.h"
#include "stock/press.h"
#include "tests/unit/alloc/alloc_fixture.h"
#include "tests/unit/reclaim/heaps.h"
#include "tests/unit/support/child.h"

namespace umemcg {
namespace {

constexpr int64_t kMax = 64;
// Of a charge for which there is nothing to reclaim: the first, one after the
// drain, 16 retries.
constexpr int kPasses = 18;
constexpr size_t kPage = kPageSize;

class ChargeFlagsTest : public AllocTest {
 protected:
  void SetUp() override {
    AllocTest::SetUp();
    install_reclaim({false});
    account_->counter.load()->store_max(kMax);
    g_on_collect = [this] { ++collected_; };
  }
  void TearDown() override {
    g_on_collect = nullptr;
    AllocTest::TearDown();
  }

  int charge(int64_t pages, uint32_t flags) {
    return charge_object(*account_, Kind::kMmap,
                         static_cast<size_t>(pages) * kPage, flags);
  }
  // All but `free` pages are in use.
  void fill(int64_t free = 0) { ASSERT_EQ(0, charge(kMax - free, 0)); }

  Group& group() { return *g_segment.group(account_->group); }
  uint64_t events(Event event) {
    return group().events[static_cast<int>(event)].load();
  }
  void expect_events(int max, uint64_t oom) {
    EXPECT_EQ(static_cast<uint64_t>(max), events(Event::kMax));
    EXPECT_EQ(events(Event::kMax), group().memory.failcnt());
    EXPECT_EQ(oom, events(Event::kOom));
  }

  int collected_ = 0;
};

TEST_F(ChargeFlagsTest, WhatFitsIsChargedWhateverTheFlags) {
  for (uint32_t flags = 0; flags <= kChargeFlags; ++flags) {
    EXPECT_EQ(0, charge(1, flags)) << flags;
  }
  EXPECT_EQ(16, usage(*account_));
  expect_events(0, 0);
}

TEST_F(ChargeFlagsTest, NoWaitDoesNotReclaim) {
  fill(16);
  TestRange range(1);
  ASSERT_TRUE(range.commit(0, 16));
  range.decommit(0, 16);
  ASSERT_EQ(16, cached_pages(*account_));
  CountCalls advised(FailCalls::kAdvise);
  EXPECT_EQ(ENOMEM, charge(1, kChargeNoWait));
  EXPECT_EQ(16, cached_pages(*account_));
  EXPECT_EQ(0, advised.seen());
  EXPECT_EQ(0, collected_);
  expect_events(0, 0);
}

TEST_F(ChargeFlagsTest, NoWaitTakesWhatOthersChargedAhead) {
  std::thread([&] {
    PageCounter* failed = nullptr;
    EXPECT_TRUE(try_charge(*account_, 1, &failed));
    set_thread_line(nullptr);  // asleep for ever
  }).join();
  ASSERT_EQ(31, all_stock(*account_));
  EXPECT_EQ(0, charge(kMax - 1, kChargeNoWait));
  EXPECT_EQ(kMax, usage(*account_));
  EXPECT_EQ(0, collected_);
}

// And once more after the drain.
TEST_F(ChargeFlagsTest, NoRetryReclaimsOnce) {
  fill(16);
  TestRange range(1);
  ASSERT_TRUE(range.commit(0, 16));
  range.decommit(0, 16);
  EXPECT_EQ(0, charge(1, kChargeNoRetry));
  EXPECT_EQ(0, cached_pages(*account_));
  expect_events(1, 0);
  ASSERT_EQ(0, charge(15, 0));
  collected_ = 0;
  EXPECT_EQ(ENOMEM, charge(1, kChargeNoRetry));
  EXPECT_EQ(2, collected_);
  expect_events(3, 0);
}

TEST_F(ChargeFlagsTest, RetryMayFailTriesAllRoundsButIsNoOom) {
  fill();
  EXPECT_EQ(ENOMEM, charge(1, kChargeRetryMayFail));
  EXPECT_EQ(kPasses, collected_);
  expect_events(kPasses, 0);
}

TEST_F(ChargeFlagsTest, WithoutFlagsItIsOutOfMemory) {
  fill();
  EXPECT_EQ(ENOMEM, charge(1, 0));
  EXPECT_EQ(kPasses, collected_);
  expect_events(kPasses, 1);
  EXPECT_EQ(ENOMEM, charge(9, 0));
  expect_events(2 * kPasses, 2);
}

TEST_F(ChargeFlagsTest, TheReserveIsNotForObjects) {
  group().memory.set_reserve(16);
  fill();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(ENOMEM, charge(1, 0));
  EXPECT_EQ(kMax, usage(*account_));
}

TEST_F(ChargeFlagsTest, NoFailGoesOverTheLimitAndIsCounted) {
  fill();
  EXPECT_EQ(0, charge(3, kChargeNoFail));
  EXPECT_EQ(kMax + 3, usage(*account_));
  EXPECT_EQ(kPasses, collected_);
  expect_events(kPasses, 0);
  EXPECT_EQ(0, charge(3, kChargeNoFail | kChargeNoWait));
  EXPECT_EQ(kPasses, collected_);
  EXPECT_EQ(0, charge(3, kChargeNoFail | kChargeNoRetry));
  EXPECT_EQ(kPasses + 2, collected_);
  EXPECT_EQ(0, charge(1000, kChargeNoFail));
  EXPECT_EQ(kMax + 1009, usage(*account_));
  EXPECT_EQ(kMax + 1009, ledger_pages(*account_));
  expect_events(kPasses + 1 + 2 + 1, 0);
}

TEST_F(ChargeFlagsTest, NoFailReclaimsFirst) {
  fill(16);
  TestRange range(1);
  ASSERT_TRUE(range.commit(0, 16));
  range.decommit(0, 16);
  EXPECT_EQ(0, charge(16, kChargeNoFail));
  EXPECT_EQ(kMax, usage(*account_));
  EXPECT_EQ(0, cached_pages(*account_));
}

TEST_F(ChargeFlagsTest, TheThreadsFlagsHoldForItsObjects) {
  fill();
  t_context.flags = kChargeNoRetry;
  EXPECT_EQ(ENOMEM, charge(1, 0));
  EXPECT_EQ(2, collected_);
  t_context.flags = kChargeNoFail;
  EXPECT_EQ(0, charge(1, kChargeNoWait));
  EXPECT_EQ(2, collected_);
  expect_events(3, 0);
}

// The commit is refused, the callback runs, the commit is tried again.
bool allocate(const TestRange& range, size_t page, size_t count) {
  if (range.commit(page, count)) return true;
  g_charge_slow_hook();
  EXPECT_FALSE(t_charge_record.armed);
  const bool committed = range.commit(page, count);
  t_charge_record.armed = false;
  return committed;
}

TEST_F(ChargeFlagsTest, TheThreadsFlagsHoldForItsHeap) {
  fill();
  TestRange range(8);
  t_context.flags = kChargeNoWait;
  EXPECT_FALSE(allocate(range, 0, 1));
  EXPECT_EQ(0, collected_);
  t_context.flags = kChargeNoRetry;
  EXPECT_FALSE(allocate(range, 0, 1));
  EXPECT_EQ(2, collected_);
  t_context.flags = kChargeRetryMayFail;
  EXPECT_FALSE(allocate(range, 0, 1));
  EXPECT_EQ(2 + kPasses, collected_);
  expect_events(2 + kPasses, 0);
  t_context.flags = kChargeNoFail;
  EXPECT_TRUE(allocate(range, 0, 20));
  EXPECT_EQ(kMax + 20, usage(*account_));
  expect_events(2 + 2 * kPasses, 0);
  t_context.flags = 0;
  EXPECT_FALSE(allocate(range, 32, 1));
  expect_events(2 + 3 * kPasses, 1);
}

TEST_F(ChargeFlagsTest, AHeapThatWasRefusedHasTheReserveWhateverTheFlags) {
  group().memory.set_reserve(16);
  fill();
  TestRange range(8);
  t_context.flags = kChargeNoWait;
  EXPECT_FALSE(allocate(range, 0, 1));
  EXPECT_TRUE(allocate(range, 0, 1));
  EXPECT_EQ(kMax + 1, usage(*account_));
}

TEST_F(ChargeFlagsTest, TheKillPolicyIsForThoseWithoutFlags) {
  fill();
  for (uint32_t flags :
       {uint32_t{kChargeNoWait}, uint32_t{kChargeNoRetry},
        uint32_t{kChargeRetryMayFail}, uint32_t{kChargeNoFail}, uint32_t{0}}) {
    test::ChildOutcome outcome = test::run_child([&] {
      take_over_slot();
      install_reclaim({true});
      group().oom_policy.store(OomPolicy::kKill);
      EXPECT_EQ(flags == kChargeNoFail ? 0 : ENOMEM, charge(1, flags));
    });
    EXPECT_EQ(flags == 0 ? 256 + SIGKILL : 0, outcome.code) << flags;
    const bool said =
        outcome.error_text.find("out of memory in /") != std::string::npos;
    EXPECT_EQ(flags == 0, said) << outcome.error_text;
  }
}

// A batch on its way from the counter to a stock is not in use.
TEST_F(ChargeFlagsTest, ABatchOnItsWayIsWaitedFor) {
  for (uint32_t flags : {uint32_t{0}, uint32_t{kChargeNoRetry}}) {
    std::atomic<bool> charged{false};
    std::thread slow([&] {
      acquire_line();
      ChargeSection section;
      PageCounter* failed = nullptr;
      EXPECT_TRUE(account_try_charge(*account_, 32, &failed));
      charged.store(true);
      sys::sleep_ns(20'000'000);
      refill_stock(*account_, 31);
    });
    while (!charged.load()) sys::yield();
    EXPECT_EQ(0, charge(kMax - 1, flags)) << flags;
    EXPECT_EQ(kMax, usage(*account_));
    slow.join();
    uncharge_object(*account_, Kind::kMmap, (kMax - 1) * kPage);
    account_uncharge(*account_, 1);
    ASSERT_EQ(0, usage(*account_));
  }
}

TEST_F(ChargeFlagsTest, ABatchThatNeverComesIsNotWaitedForLong) {
  std::atomic<bool> charged{false};
  std::atomic<bool> end{false};
  std::thread slow([&] {
    acquire_line();
    ChargeSection section;
    PageCounter* failed = nullptr;
    EXPECT_TRUE(account_try_charge(*account_, 32, &failed));
    charged.store(true);
    while (!end.load()) sys::sleep_ns(100'000);
  });
  while (!charged.load()) sys::yield();
  EXPECT_EQ(ENOMEM, charge(kMax - 1, kChargeNoWait));
  uint64_t start = sys::monotonic_ns();
  EXPECT_EQ(ENOMEM, charge(kMax - 1, kChargeNoRetry));
  EXPECT_LT(sys::monotonic_ns() - start, 5'000'000'000u);
  end.store(true);
  slow.join();
}

TEST_F(ChargeFlagsTest, NothingIsChargedAheadForAWhileAfterARefusal) {
  uint32_t parent = new_group(kMax);
  Account& child = new_account(kPageCounterMax, parent);
  Account& beside = new_account();
  EXPECT_EQ(kChargeBatch, batch_size(child));
  acquire_line();  // without a line nothing could be in a stock
  ASSERT_EQ(0, charge_object(child, Kind::kMmap, kMax * kPage, 0));
  EXPECT_EQ(ENOMEM, charge_object(child, Kind::kMmap, kPage, 0));
  EXPECT_NE(0u, g_segment.group(parent)->pressed_ms.load());
  EXPECT_EQ(kChargeBatch, batch_size(beside));
  t_context.exiting = false;
  uncharge_object(child, Kind::kMmap, 40 * kPage);
  // Where the test was put to sleep in the middle, the press had ended.
  uint64_t since;
  uint32_t batch;
  int64_t stock;
  do {
    drain_own_stock();
    since = press(*g_segment.group(parent));
    batch = batch_size(child);
    ASSERT_EQ(0, charge_object(child, Kind::kMmap, kPage, 0));
    stock = own_stock(child);
    uncharge_object(child, Kind::kMmap, kPage);
  } while (!press_holds(since));
  EXPECT_EQ(0u, batch);
  EXPECT_EQ(0, stock);
  sys::sleep_ns((kPressMs + 20) * 1'000'000);
  EXPECT_EQ(kChargeBatch, batch_size(child));
}

// One from another clock, or a damaged segment.
TEST_F(ChargeFlagsTest, APressFromTheFutureIsNone) {
  group().pressed_ms.store(sys::coarse_ms() + 1'000'000);
  EXPECT_FALSE(pressed(group()));
  group().pressed_ms.store(UINT64_MAX);
  EXPECT_FALSE(pressed(group()));
}

}  // namespace
}  // namespace umemcg
