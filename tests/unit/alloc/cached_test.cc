// Giving cached pages back: how many, which, how old, and when the system
// will not have them.

#include "alloc/cached.h"

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "alloc/commit.h"
#include "tests/unit/alloc/alloc_fixture.h"
#include "tests/unit/support/child.h"

namespace umemcg {
namespace {

class CachedTest : public AllocTest {
 protected:
  void cache(const TestRange& range, size_t page, size_t count) {
    ASSERT_TRUE(range.commit(page, count));
    range.decommit(page, count);
  }
  // Lets decay look again: it does so every tenth of a second.
  static int64_t decay() {
    sys::sleep_ns(120'000'000);
    return decay_cached();
  }
};

TEST_F(CachedTest, PurgesAsMuchAsIsWantedAndLeavesTheRest) {
  TestRange range(8);
  for (size_t n = 0; n < 8; ++n) cache(range, 16 * n, 16);
  EXPECT_EQ(32, purge_cached(*account_, 20, PurgeReason::kReclaim));
  EXPECT_EQ(96, usage(*account_));
  EXPECT_EQ(32, stat_of(*account_, Stat::kPgsteal));
  expect_consistent(*account_);
  EXPECT_EQ(96, purge_cached(*account_, 1000, PurgeReason::kTrim));
  EXPECT_EQ(32, stat_of(*account_, Stat::kPgsteal));
  EXPECT_EQ(0, purge_cached(*account_, 1000, PurgeReason::kTrim));
  expect_consistent(*account_);
}

TEST_F(CachedTest, TheNewestGoFirst) {
  TestRange range(3);
  for (size_t n = 0; n < 3; ++n) cache(range, 16 * n, 16);
  EXPECT_EQ(16, purge_cached(*account_, 1, PurgeReason::kReclaim));
  EXPECT_EQ(0xffffu, range.word(0).cached());
  EXPECT_EQ(0xffffu, range.word(1).cached());
  EXPECT_EQ(0u, range.word(2).cached());
}

TEST_F(CachedTest, NeighboursAreGivenBackByOneCall) {
  TestRange range(300);
  cache(range, 0, 300 * 16);
  CountCalls advise(FailCalls::kAdvise);
  EXPECT_EQ(4800, purge_all(*account_));
  EXPECT_LE(advise.seen(), 2);  // 256 slices are claimed at a time
  expect_consistent(*account_);
}

TEST_F(CachedTest, NeighboursAreGivenBackByOneCallDownwardsToo) {
  TestRange range(100);
  for (size_t n = 0; n < 100; ++n) cache(range, 16 * n, 16);
  CountCalls advise(FailCalls::kAdvise);
  EXPECT_EQ(1600, purge_all(*account_));
  EXPECT_EQ(1, advise.seen());
}

TEST_F(CachedTest, PagesInUseBetweenCachedOnesKeepTheirContents) {
  TestRange range(1);
  ASSERT_TRUE(range.commit(0, 16));
  for (size_t i = 0; i < 16; ++i) *range.data(i) = 'x';
  range.decommit(1, 3);
  range.decommit(8, 1);
  range.decommit(15, 1);
  EXPECT_EQ(5, purge_all(*account_));
  for (size_t i = 0; i < 16; ++i) {
    bool gone = (i >= 1 && i < 4) || i == 8 || i == 15;
    EXPECT_EQ(gone ? 0 : 'x', *range.data(i)) << i;
  }
  EXPECT_EQ(0x7ef1u, range.word(0).used());
  expect_consistent(*account_);
}

TEST_F(CachedTest, ASliceCommittedAgainIsTakenOutOfTheStack) {
  TestRange range(2);
  cache(range, 0, 32);
  ASSERT_TRUE(range.commit(0, 16));
  EXPECT_TRUE(range.word(0).queued());
  EXPECT_EQ(16, purge_all(*account_));
  EXPECT_FALSE(range.word(0).queued());
  EXPECT_EQ(0xffffu, range.word(0).used());
  EXPECT_EQ(0u, account_->cached_head.load());
  expect_consistent(*account_);
}

TEST_F(CachedTest, AChunkThatSomebodyWorksInIsLeftAlone) {
  TestRange range(2 * kChunkSlices);
  cache(range, 0, 16);
  cache(range, kChunkSlices * kSlicePages, 16);
  ChunkGate& gate = chunk_gate(slice_number(range.address(0)));
  gate.enter();
  EXPECT_EQ(16, purge_all(*account_));
  EXPECT_EQ(0xffffu, range.word(0).cached());
  gate.leave();
  EXPECT_EQ(16, purge_all(*account_));  // it stayed in the stack
  expect_consistent(*account_);
}

TEST_F(CachedTest, DecayTakesTheOldAndKeepsTheYoung) {
  TestRange range(3);
  for (size_t n = 0; n < 3; ++n) cache(range, 16 * n, 16);
  range.age(0, 2000);
  range.age(2, 500);
  EXPECT_EQ(16, decay());
  EXPECT_EQ(0u, range.word(0).cached());
  EXPECT_EQ(0xffffu, range.word(1).cached());
  EXPECT_TRUE(range.word(2).queued());
  range.age(2, 500);
  EXPECT_EQ(16, decay());
  EXPECT_EQ(16, usage(*account_));
  EXPECT_EQ(0, stat_of(*account_, Stat::kPgsteal));
  expect_consistent(*account_);
}

TEST_F(CachedTest, PagesCachedSinceDecayLookedAtTheClockAreYoung) {
  TestRange range(1);
  cache(range, 0, 16);
  range.age(0, static_cast<uint32_t>(-300));
  EXPECT_EQ(0, decay());
  EXPECT_EQ(0xffffu, range.word(0).cached());
}

TEST_F(CachedTest, DecayLooksOnceATenthOfASecond) {
  TestRange range(1);
  EXPECT_EQ(0, decay());
  cache(range, 0, 16);
  range.age(0, 2000);
  EXPECT_EQ(0, decay_cached());
  EXPECT_EQ(16, decay());
}

TEST_F(CachedTest, WhatTheSystemWillNotTakeStaysCachedAndCharged) {
  TestRange range(2);
  cache(range, 0, 16);
  ASSERT_TRUE(range.commit(16, 16));
  *range.data(20) = 'x';
  range.decommit(18, 5);
  {
    FailCalls advise(FailCalls::kAdvise, EINVAL);
    EXPECT_EQ(0, purge_all(*account_));
  }
  EXPECT_EQ(0xffffu, range.word(0).cached());
  EXPECT_EQ(0x007cu, range.word(1).cached());
  EXPECT_FALSE(range.word(0).purging());
  EXPECT_TRUE(range.word(0).queued());
  EXPECT_EQ(32, usage(*account_));
  expect_consistent(*account_);
  EXPECT_EQ(21, purge_all(*account_));
  expect_consistent(*account_);
}

TEST_F(CachedTest, PartOfASliceThatTheSystemTakesIsNoPurge) {
  TestRange range(1);
  ASSERT_TRUE(range.commit(0, 16));
  range.decommit(1, 2);
  range.decommit(5, 2);
  {
    FailCalls advise(FailCalls::kAdvise, EINVAL, 2);
    EXPECT_EQ(0, purge_all(*account_));
  }
  EXPECT_EQ(16, usage(*account_));
  expect_consistent(*account_);
}

// As after mlockall(): nothing can be given back, however much is cached.
TEST_F(CachedTest, APurgeEndsThoughNothingCanBeGivenBack) {
  TestRange range(2000);
  for (size_t n = 0; n < 1000; ++n) cache(range, 32 * n, 16);
  alarm(20);
  {
    FailCalls advise(FailCalls::kAdvise, EINVAL);
    EXPECT_EQ(0, purge_all(*account_));
    EXPECT_LE(advise.seen(), 2000);
  }
  alarm(0);
  EXPECT_EQ(16'000, purge_all(*account_));
  expect_consistent(*account_);
}

TEST_F(CachedTest, OneSliceThatCannotGoDoesNotKeepTheOthers) {
  TestRange range(2000);
  for (size_t n = 0; n < 1000; ++n) cache(range, 32 * n, 16);
  {
    FailCalls advise(FailCalls::kAdvise, EINVAL, 1, 300);
    EXPECT_EQ(700 * 16, purge_all(*account_));
  }
  expect_consistent(*account_);
}

// The address of the slice that a purge stopped in, and its way on.
std::atomic<uintptr_t> stopped_in{0};
std::atomic<bool> go_on{false};

int advise_and_wait(void* address, size_t size, int advice) {
  stopped_in.store(reinterpret_cast<uintptr_t>(address));
  while (!go_on.load()) sys::yield();
  return sys::kRealMemory.advise(address, size, advice);
}

class PurgeInProgressTest : public CachedTest {
 protected:
  void SetUp() override {
    CachedTest::SetUp();
    stopped_in.store(0);
    go_on.store(false);
  }
  // Starts a purge and waits until it is in the middle.
  void start_purge() {
    sys::memory.advise = advise_and_wait;
    purger_ = std::thread(
        [this] { purge_cached(*account_, INT64_MAX, PurgeReason::kTrim); });
    while (stopped_in.load() == 0) sys::yield();
  }
  void end_purge() {
    go_on.store(true);
    purger_.join();
    sys::memory = sys::kRealMemory;
  }

  std::thread purger_;
};

TEST_F(PurgeInProgressTest, ACommitWaitsForIt) {
  TestRange range(1);
  cache(range, 0, 16);
  EXPECT_FALSE(purge_in_progress());
  start_purge();
  EXPECT_TRUE(purge_in_progress());
  EXPECT_TRUE(range.word(0).purging());
  std::atomic<bool> committed{false};
  bool is_zero = false;
  std::thread committer([&] {
    t_context.account = account_;
    t_context.exiting = true;
    EXPECT_TRUE(range.commit(0, 8, &is_zero));
    *range.data(0) = 'x';
    committed.store(true);
  });
  sys::sleep_ns(20'000'000);
  EXPECT_FALSE(committed.load());
  end_purge();
  committer.join();
  EXPECT_FALSE(purge_in_progress());
  EXPECT_TRUE(is_zero);
  EXPECT_EQ('x', *range.data(0));
  EXPECT_EQ(8, usage(*account_));
  expect_consistent(*account_);
}

TEST_F(PurgeInProgressTest, ADecommitOfTheSliceWaitsForIt) {
  TestRange range(1);
  ASSERT_TRUE(range.commit(0, 16));
  range.decommit(0, 8);
  start_purge();
  std::atomic<bool> done{false};
  std::thread decommitter([&] {
    t_context.account = account_;
    t_context.exiting = true;
    range.decommit(8, 8);
    done.store(true);
  });
  sys::sleep_ns(20'000'000);
  EXPECT_FALSE(done.load());
  end_purge();
  decommitter.join();
  EXPECT_EQ(0xff00u, range.word(0).cached());
  EXPECT_EQ(8, usage(*account_));
  expect_consistent(*account_);
}

TEST_F(PurgeInProgressTest, SlicesCachedMeanwhileAreKept) {
  TestRange range(4);
  cache(range, 0, 16);
  start_purge();
  cache(range, 32, 16);
  end_purge();
  EXPECT_EQ(16, usage(*account_));
  EXPECT_EQ(16, purge_all(*account_));
}

// The purge goes on in the parent; the child has what it took in no stack.
TEST_F(PurgeInProgressTest, AForkCutsItOff) {
  TestRange range(40);
  cache(range, 0, 40 * 16);
  ASSERT_TRUE(range.commit(30 * 16, 16));
  stopped_in.store(0);
  start_purge();
  {
    test::Child child([&] {
      sys::memory = sys::kRealMemory;
      reset_purges();
      EXPECT_FALSE(purge_in_progress());
      expect_consistent(*account_);
      EXPECT_FALSE(range.word(0).purging());
      EXPECT_EQ(39 * 16, purge_all(*account_));
      ASSERT_TRUE(range.commit(0, 16));
      expect_consistent(*account_);
    });
    EXPECT_EQ(0, child.wait());
  }
  end_purge();
  EXPECT_EQ(16, usage(*account_));
  expect_consistent(*account_);
}

}  // namespace
}  // namespace umemcg
