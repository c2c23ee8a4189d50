// The slow half of try_charge, between the refused commit and the second.

#include "accounting/process.h"
#include "reclaim/charge.h"

#include <signal.h>

#include <semaphore>
#include <thread>

#include "accounting/event.h"
#include "accounting/mem_cgroup.h"
#include "tests/unit/alloc/alloc_fixture.h"
#include "tests/unit/reclaim/heaps.h"
#include "tests/unit/support/child.h"

namespace umemcg {
namespace {

constexpr int64_t kMax = 64;
constexpr int64_t kReserve = 16;
// Of a charge for which there is nothing to reclaim: the first, one after the
// drain, 16 retries.
constexpr uint64_t kPasses = 18;

class ReclaimTest : public AllocTest {
 protected:
  void SetUp() override {
    AllocTest::SetUp();
    install_reclaim({false});
    account_->counter.load()->store_max(kMax);
    account_->counter.load()->set_reserve(kReserve);
    collected_ = 0;
    g_on_collect = [this] { ++collected_; };
  }
  void TearDown() override {
    g_on_collect = nullptr;
    AllocTest::TearDown();
  }

  // The commit is refused, the callback runs, the commit is tried again.
  static bool allocate(const TestRange& range, size_t page, size_t count) {
    if (range.commit(page, count)) return true;
    g_charge_slow_hook();
    EXPECT_FALSE(t_charge_record.armed);
    const bool committed = range.commit(page, count);
    t_charge_record.armed = false;
    return committed;
  }

  uint64_t events(Event event) const {
    return g_segment.group(account_->group)
        ->events[static_cast<int>(event)]
        .load();
  }
  void expect_events(uint64_t max, uint64_t oom) const {
    EXPECT_EQ(max, events(Event::kMax));
    EXPECT_EQ(max, account_->counter.load()->failcnt());
    EXPECT_EQ(oom, events(Event::kOom));
  }
  // As if the last refusal had been so long ago.
  void age_refusal(uint64_t ms) const {
    auto& refused = g_segment.group(account_->group)->refused_ms;
    refused.store(sys::coarse_ms() - ms);
  }

  int collected_ = 0;
};

TEST_F(ReclaimTest, WithoutARecordNothingHappens) {
  g_charge_slow_hook();
  expect_events(0, 0);
}

TEST_F(ReclaimTest, WhatOthersChargedAheadIsTaken) {
  std::binary_semaphore ready{0};
  std::binary_semaphore end{0};
  std::thread other([&] {
    PageCounter* failed = nullptr;
    EXPECT_TRUE(try_charge(*account_, 1, &failed));
    ready.release();
    end.acquire();
    release_line();
  });
  ready.acquire();
  EXPECT_EQ(32, usage(*account_));
  TestRange range(4);
  errno = EINTR;
  EXPECT_TRUE(allocate(range, 0, 60));
  EXPECT_EQ(EINTR, errno);
  EXPECT_EQ(61, usage(*account_));
  expect_events(1, 0);
  end.release();
  other.join();
}

TEST_F(ReclaimTest, WhatTheThreadsHeapsHaveFreeIsCollected) {
  TestRange range(8);
  ASSERT_TRUE(range.commit(0, 64));
  g_on_collect = [&] {
    ++collected_;
    range.decommit(0, 48);
  };
  EXPECT_TRUE(allocate(range, 64, 40));
  EXPECT_EQ(1, collected_);
  EXPECT_LE(usage(*account_), kMax);
  expect_events(1, 0);
  expect_consistent(*account_);
}

TEST_F(ReclaimTest, ADrainOfThePathUpwardsServesAnAncestorsLimit) {
  uint32_t parent = new_group(20);
  Account& first = new_account(kPageCounterMax, parent);
  Account& second = new_account(kPageCounterMax, parent);
  TestRange range(4);
  t_context.account = &first;
  ASSERT_TRUE(range.commit(0, 16));
  range.decommit(0, 16);
  t_context.account = &second;
  EXPECT_TRUE(allocate(range, 32, 20));
  EXPECT_EQ(0, usage(first));
  EXPECT_EQ(20, usage(second));
}

TEST_F(ReclaimTest, AFailureIsCountedAndLeavesNothingBehind) {
  TestRange range(8);
  ASSERT_TRUE(range.commit(0, 64));
  errno = EINTR;
  EXPECT_FALSE(allocate(range, 64, 4));
  EXPECT_EQ(EINTR, errno);  // mimalloc may yet do without
  EXPECT_EQ(kMax, usage(*account_));
  EXPECT_EQ(0u, reservation_word().load());
  expect_events(kPasses, 1);
  EXPECT_NE(0u, g_segment.group(account_->group)->refused_ms.load());
  expect_consistent(*account_);
}

TEST_F(ReclaimTest, AnEventIsCountedUpToTheRootAndAtTheLimit) {
  uint32_t grandparent = new_group();
  uint32_t parent = new_group(8, grandparent);
  Account& child = new_account(kPageCounterMax, parent);
  t_context.account = &child;
  TestRange range(1);
  EXPECT_FALSE(allocate(range, 0, 9));
  auto count = [](const auto& counts) {
    return counts[static_cast<int>(Event::kMax)].load();
  };
  EXPECT_EQ(1u, count(g_segment.group(grandparent)->events));
  EXPECT_EQ(1u, count(g_segment.group(parent)->events));
  EXPECT_EQ(1u, count(g_segment.group(parent)->events_local));
  EXPECT_EQ(0u, count(g_segment.group(child.group)->events));
}

// A commit of many pages is as many charges of one page: it is no costly order.
TEST_F(ReclaimTest, ALargeRequestIsAnOomEventToo) {
  account_->counter.load()->set_reserve(0);
  TestRange range(8);
  ASSERT_TRUE(range.commit(0, 60));
  EXPECT_FALSE(allocate(range, 64, 9));
  expect_events(kPasses, 1);
  EXPECT_FALSE(allocate(range, 64, 8));
  expect_events(2 * kPasses, 2);
}

TEST_F(ReclaimTest, ARequestAboveTheLimitFailsAtOnce) {
  TestRange range(8);
  EXPECT_FALSE(allocate(range, 0, kMax + 1));
  EXPECT_EQ(0, collected_);
  expect_events(1, 1);
}

TEST_F(ReclaimTest, AfterARefusalSmallRequestsHaveTheReserve) {
  TestRange range(8);
  ASSERT_TRUE(range.commit(0, 64));
  EXPECT_FALSE(allocate(range, 64, 4));
  EXPECT_TRUE(allocate(range, 64, 4));
  EXPECT_TRUE(allocate(range, 68, 12));
  EXPECT_EQ(kMax + kReserve, usage(*account_));
  EXPECT_FALSE(allocate(range, 80, 1));
  EXPECT_EQ(kMax + kReserve, usage(*account_));
  expect_events(4 * kPasses, 2);
  expect_consistent(*account_);
}

TEST_F(ReclaimTest, TheReserveIsRefilledFirst) {
  TestRange range(8);
  ASSERT_TRUE(range.commit(0, 64));
  EXPECT_FALSE(allocate(range, 64, 4));
  ASSERT_TRUE(allocate(range, 64, 16));
  range.release(0, 16);
  EXPECT_EQ(kMax, usage(*account_));
  age_refusal(60'000);
  EXPECT_FALSE(allocate(range, 80, 1));
}

TEST_F(ReclaimTest, LargeRequestsHaveNoReserve) {
  account_->counter.load()->set_reserve(64);
  TestRange range(8);
  ASSERT_TRUE(range.commit(0, 64));
  EXPECT_FALSE(allocate(range, 64, 4));
  EXPECT_FALSE(allocate(range, 64, 17));
  EXPECT_TRUE(allocate(range, 64, 16));
}

TEST_F(ReclaimTest, TheReserveClosesAWhileAfterTheRefusal) {
  TestRange range(8);
  ASSERT_TRUE(range.commit(0, 64));
  EXPECT_FALSE(allocate(range, 64, 4));
  age_refusal(60'000);
  EXPECT_FALSE(allocate(range, 64, 4));  // which is a refusal again
  EXPECT_TRUE(allocate(range, 64, 4));
}

TEST_F(ReclaimTest, WithoutAReserveTheLimitHolds) {
  account_->counter.load()->set_reserve(0);
  TestRange range(8);
  ASSERT_TRUE(range.commit(0, 64));
  for (int i = 0; i < 5; ++i) EXPECT_FALSE(allocate(range, 64, 1));
  EXPECT_EQ(kMax, usage(*account_));
}

// Pages that were reusable at the first try may be gone at the second.
TEST_F(ReclaimTest, WhatIsCachedInTheRequestIsWonAsWell) {
  TestRange range(8);
  ASSERT_TRUE(range.commit(0, 64));
  range.decommit(48, 16);
  {
    FailCalls advise(FailCalls::kAdvise, EINVAL);
    ASSERT_FALSE(range.commit(48, 17));
  }
  EXPECT_EQ(17u, t_charge_record.pages);
  range.release(0, 1);
  g_charge_slow_hook();
  EXPECT_TRUE(range.commit(48, 17));
  EXPECT_EQ(kMax, usage(*account_));
  expect_consistent(*account_);
}

std::atomic<bool> purger_is_in{false};
std::atomic<bool> purger_may_go{false};

int advise_slowly(void* address, size_t size, int advice) {
  purger_is_in.store(true);
  while (!purger_may_go.load()) sys::sleep_ns(100'000);
  return sys::kRealMemory.advise(address, size, advice);
}

TEST_F(ReclaimTest, PagesThatSomebodyIsGivingBackAreWaitedFor) {
  account_->counter.load()->set_reserve(0);
  TestRange range(8);
  ASSERT_TRUE(range.commit(0, 64));
  range.decommit(0, 64);
  purger_is_in.store(false);
  purger_may_go.store(false);
  sys::memory.advise = advise_slowly;
  std::thread purger(
      [&] { purge_cached(*account_, INT64_MAX, PurgeReason::kTrim); });
  while (!purger_is_in.load()) sys::yield();
  std::thread waker([] {
    sys::sleep_ns(20'000'000);
    purger_may_go.store(true);
  });
  EXPECT_TRUE(allocate(range, 64, 64));
  EXPECT_TRUE(purger_may_go.load());
  purger.join();
  waker.join();
  sys::memory = sys::kRealMemory;
  expect_consistent(*account_);
}

TEST_F(ReclaimTest, PagesBesideWhichSomebodyIsAtWorkAreWaitedFor) {
  account_->counter.load()->set_reserve(0);
  TestRange range(2 * kChunkSlices);
  ASSERT_TRUE(range.commit(0, 64));
  range.decommit(0, 64);
  ChunkGate& gate = chunk_gate(slice_number(range.address(0)));
  gate.enter();
  std::atomic<bool> left{false};
  std::thread other([&] {
    sys::sleep_ns(20'000'000);
    left.store(true);
    gate.leave();
  });
  EXPECT_TRUE(allocate(range, kChunkSlices * kSlicePages, 64));
  EXPECT_TRUE(left.load());
  other.join();
  expect_consistent(*account_);
}

// Output and death, in a child each.

TEST_F(ReclaimTest, TheFirstRefusalIsSaidOnceAndSaysWhat) {
  test::ChildOutcome outcome = test::run_child([&] {
    install_reclaim({true});
    TestRange range(8);
    ASSERT_TRUE(range.commit(0, 64));
    EXPECT_FALSE(allocate(range, 64, 32));
    EXPECT_FALSE(allocate(range, 64, 32));
  });
  EXPECT_EQ(0, outcome.code) << outcome.error_text;
  const std::string& text = outcome.error_text;
  const size_t said = text.find("out of memory in /");
  ASSERT_NE(std::string::npos, said) << text;
  EXPECT_EQ(std::string::npos, text.find("out of memory", said + 1)) << text;
  for (const char* part :
       {"limit 256.0 KiB", "usage 256.0 KiB", "a request of 128.0 KiB"}) {
    EXPECT_NE(std::string::npos, text.find(part)) << part << ": " << text;
  }
}

TEST_F(ReclaimTest, RefusalsAreQuietIfAskedFor) {
  test::ChildOutcome outcome = test::run_child([&] {
    TestRange range(8);
    EXPECT_FALSE(allocate(range, 0, 65));
  });
  EXPECT_EQ(0, outcome.code);
  EXPECT_EQ("", outcome.error_text);
}

TEST_F(ReclaimTest, TheKillPolicyKills) {
  test::ChildOutcome outcome = test::run_child([&] {
    take_over_slot();
    g_segment.group(account_->group)->oom_policy.store(OomPolicy::kKill);
    TestRange range(8);
    ASSERT_TRUE(range.commit(0, 64));
    allocate(range, 64, 1);
  });
  EXPECT_EQ(256 + SIGKILL, outcome.code) << outcome.error_text;
}

}  // namespace
}  // namespace umemcg
