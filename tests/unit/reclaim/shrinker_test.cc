// Whom reclaim asks, for how much, and what it makes of the answers.

#include "reclaim/shrinker.h"

#include <cerrno>
#include <memory>
#include <vector>

#include "accounting/gate.h"
#include "accounting/process.h"
#include "reclaim/asked_shrinkers.h"
#include "tests/unit/reclaim/shrinker_fixture.h"
#include "tests/unit/support/child.h"

namespace umemcg {
namespace {

TEST_F(ShrinkerTest, WithoutAnyNothingIsFreed) {
  EXPECT_FALSE(any_shrinkers());
  EXPECT_FALSE(has_shrinkers(*account_));
  EXPECT_EQ(0, count_shrinkable(*account_));
  EXPECT_EQ(0, run_shrinkers(*account_, 100));
}

TEST_F(ShrinkerTest, FreesWhatIsWanted) {
  Cache cache(10 * kPage);
  EXPECT_TRUE(any_shrinkers());
  EXPECT_TRUE(has_shrinkers(*account_));
  EXPECT_EQ(10, count_shrinkable(*account_));
  EXPECT_EQ(4, run_shrinkers(*account_, 4));
  EXPECT_EQ(4 * kPage, cache.last_asked);
  EXPECT_EQ(account_, cache.last_account);
  EXPECT_EQ(6, count_shrinkable(*account_));
}

TEST_F(ShrinkerTest, IsNotAskedForMoreThanItHas) {
  Cache cache(10 * kPage + 100);
  EXPECT_EQ(10, run_shrinkers(*account_, 1'000));
  EXPECT_EQ(10 * kPage + 100, cache.last_asked);
  EXPECT_EQ(0, run_shrinkers(*account_, 1'000));
  EXPECT_EQ(1, cache.scanned);
  EXPECT_EQ(0, run_shrinkers(*account_, 0));
  EXPECT_EQ(2, cache.counted);
}

TEST_F(ShrinkerTest, OfAGroupIsForThatGroupOnly) {
  Account& other = new_account();
  Cache cache(8 * kPage, Cache::of(*account_));
  EXPECT_TRUE(has_shrinkers(*account_));
  EXPECT_FALSE(has_shrinkers(other));
  EXPECT_EQ(0, run_shrinkers(other, 1));
  EXPECT_EQ(0, cache.counted);
  EXPECT_EQ(1, run_shrinkers(*account_, 1));
}

// A row of the table of groups may be another's by then.
TEST_F(ShrinkerTest, OfARemovedGroupIsForNoOther) {
  ShrinkerSpec spec = Cache::of(*account_);
  spec.group_id += 1000;
  Cache cache(8 * kPage, spec);
  EXPECT_FALSE(has_shrinkers(*account_));
}

TEST_F(ShrinkerTest, TheCheapestComesFirst) {
  Cache dear(8 * kPage, Cache::costing(5));
  Cache cheap(8 * kPage, Cache::costing(-5));
  Cache middle(8 * kPage);
  EXPECT_EQ(4, run_shrinkers(*account_, 4));
  EXPECT_EQ(1, cheap.scanned);
  EXPECT_EQ(0, middle.counted + dear.counted);
  EXPECT_EQ(16, run_shrinkers(*account_, 16));
  EXPECT_EQ(0u, cheap.bytes);
  EXPECT_EQ(0u, middle.bytes);
  EXPECT_EQ(4 * kPage, dear.bytes);
}

TEST_F(ShrinkerTest, ThoseOfOneCostTakeTurns) {
  Cache first(100 * kPage), second(100 * kPage), third(100 * kPage);
  for (int i = 0; i < 30; ++i) EXPECT_EQ(1, run_shrinkers(*account_, 1));
  EXPECT_EQ(10, first.scanned);
  EXPECT_EQ(10, second.scanned);
  EXPECT_EQ(10, third.scanned);
}

TEST_F(ShrinkerTest, WhatIsSaidIsNotBelievedBeyondReason) {
  Cache cache(8 * kPage);
  cache.says = kShrinkStop;
  EXPECT_EQ(0, run_shrinkers(*account_, 8));
  EXPECT_EQ(0u, cache.stats().freed);
  cache.says = kShrinkStop - 1;
  EXPECT_LT(run_shrinkers(*account_, 8), int64_t{1} << 40);
  cache.bytes = SIZE_MAX;
  EXPECT_EQ(0, count_shrinkable(*account_));
  cache.bytes = SIZE_MAX - 1;
  EXPECT_LT(count_shrinkable(*account_), int64_t{1} << 40);
  EXPECT_GT(run_shrinkers(*account_, INT64_MAX), 0);
  EXPECT_LE(cache.last_asked, size_t{1} << 46);
}

TEST_F(ShrinkerTest, ItsCallsAreCounted) {
  Cache cache(8 * kPage);
  count_shrinkable(*account_);
  run_shrinkers(*account_, 2);
  run_shrinkers(*account_, 100);
  const ShrinkerStats stats = cache.stats();
  EXPECT_EQ(3u, stats.counts);
  EXPECT_EQ(2u, stats.scans);
  EXPECT_EQ(8 * kPage, stats.asked);
  EXPECT_EQ(8 * kPage, stats.freed);
  EXPECT_EQ(0u, stats.busy + stats.overruns + stats.pause_ms);
  EXPECT_GT(stats.longest_ns, 0u);
}

TEST_F(ShrinkerTest, ErrnoIsKept) {
  Cache cache(8 * kPage);
  cache.in_scan = [] { errno = EIO; };
  errno = EINTR;
  run_shrinkers(*account_, 1);
  EXPECT_EQ(EINTR, errno);
}

TEST_F(ShrinkerTest, TheThreadIsWhereItWas) {
  Cache cache(8 * kPage);
  Account& outer = new_account();
  t_context.account = &outer;
  t_context.flags = kChargeNoFail;
  Account* inside = nullptr;
  bool reclaiming = false;
  uint8_t flags = kChargeNoFail;
  cache.in_scan = [&] {
    inside = t_context.account;
    reclaiming = t_context.reclaiming;
    flags = t_context.flags;
  };
  run_shrinkers(*account_, 1);
  EXPECT_EQ(account_, inside);
  EXPECT_TRUE(reclaiming);
  EXPECT_EQ(0, flags);
  EXPECT_EQ(&outer, t_context.account);
  EXPECT_EQ(kChargeNoFail, t_context.flags);
  EXPECT_FALSE(t_context.reclaiming);
}

TEST_F(ShrinkerTest, NoneIsCalledWithinAnother) {
  Cache outer(8 * kPage), inner(8 * kPage, Cache::costing(1));
  int64_t freed = 0;
  outer.in_scan = [&] {
    freed = run_shrinkers(*account_, 8) + count_shrinkable(*account_);
  };
  EXPECT_EQ(8, run_shrinkers(*account_, 8));
  EXPECT_EQ(0, freed);
  EXPECT_EQ(0, inner.counted);
}

TEST_F(ShrinkerTest, NoneIsCalledInTheMiddleOfACharge) {
  Cache cache(8 * kPage);
  ChargeSection section;
  EXPECT_EQ(0, run_shrinkers(*account_, 8));
  EXPECT_EQ(0, count_shrinkable(*account_));
  EXPECT_EQ(0, cache.counted);
}

TEST_F(ShrinkerTest, TheTableHolds256) {
  std::vector<std::unique_ptr<Cache>> caches;
  for (int i = 0; i < kMostShrinkers; ++i) {
    caches.push_back(std::make_unique<Cache>(kPage));
  }
  int id = -7;
  EXPECT_EQ(ENOSPC, register_shrinker({}, &id));
  EXPECT_EQ(-7, id);
  EXPECT_EQ(256, count_shrinkable(*account_));
  EXPECT_EQ(256, run_shrinkers(*account_, 1'000));
  const int before = caches.back()->id;
  caches.pop_back();
  Cache again(kPage);
  EXPECT_NE(before, again.id);
  EXPECT_GT(again.id, 0);
  EXPECT_EQ(EBADF, unregister_shrinker(before));
  ShrinkerStats stats;
  EXPECT_EQ(EBADF, read_shrinker(before, &stats));
}

TEST_F(ShrinkerTest, WhatIsNoIdIsNone) {
  ShrinkerStats stats;
  for (int id : {0, -1, 1, 255, 256, INT32_MAX, INT32_MIN}) {
    EXPECT_EQ(EBADF, unregister_shrinker(id)) << id;
    EXPECT_EQ(EBADF, read_shrinker(id, &stats)) << id;
  }
}

TEST_F(ShrinkerTest, TheDomainIsTold) {
  const ProcessSlot& slot = *g_segment.process(this_process());
  const auto told = [&] {
    return (slot.flags.load() & kProcessShrinkers) != 0;
  };
  EXPECT_FALSE(told());
  {
    Cache first(kPage);
    EXPECT_TRUE(told());
    { Cache second(kPage); }
    EXPECT_TRUE(told());
  }
  EXPECT_FALSE(told());
}

// Deadlines.

void sleep_ms(uint64_t ms) { sys::sleep_ns(ms * 1'000'000); }

TEST_F(ShrinkerTest, OneThatIsTooSlowIsNotAskedAgain) {
  Cache slow(8 * kPage, Cache::within(1));
  Cache quick(8 * kPage, Cache::costing(1));
  slow.in_scan = [] { sleep_ms(3); };
  EXPECT_EQ(1, run_shrinkers(*account_, 1));  // what it freed is freed
  EXPECT_EQ(1, run_shrinkers(*account_, 1));
  EXPECT_EQ(1, slow.scanned);
  EXPECT_EQ(1, quick.scanned);
  const ShrinkerStats stats = slow.stats();
  EXPECT_EQ(1u, stats.overruns);
  EXPECT_GE(stats.longest_ns, 3'000'000u);
  EXPECT_GT(stats.pause_ms, kFirstPauseMs - 5'000);
  EXPECT_LE(stats.pause_ms, kFirstPauseMs);
  quick.leave();
  EXPECT_FALSE(has_shrinkers(*account_));
  EXPECT_TRUE(any_shrinkers());
}

TEST_F(ShrinkerTest, ThePauseDoublesWhileItStaysSlow) {
  Cache slow(1'000 * kPage, Cache::within(1));
  bool is_slow = true;
  slow.in_scan = [&] { sleep_ms(is_slow ? 3 : 0); };
  for (uint64_t pause : {10u, 20u, 40u, 80u, 160u, 320u, 640u, 640u}) {
    run_shrinkers(*account_, 1);
    EXPECT_EQ(pause * 1'000, slow.row().pause_ms.load());
    slow.row().not_before_ms.store(1);  // it is over
  }
  slow.row().deadline_ms = 60'000;
  is_slow = false;
  run_shrinkers(*account_, 1);
  EXPECT_EQ(0u, slow.row().pause_ms.load());
  EXPECT_EQ(8u, slow.stats().overruns);
}

// As reclaim asks: what there is, and then for some of it.
int64_t count_and_scan(Account& account, int64_t pages) {
  AskedShrinkers asked;
  count_shrinkable(account);
  return run_shrinkers(account, pages);
}

TEST_F(ShrinkerTest, AQuickCountDoesNotMakeUpForASlowScan) {
  Cache slow(1'000 * kPage, Cache::within(1));
  slow.in_scan = [&] { sleep_ms(3); };
  for (uint64_t pause : {10u, 20u, 40u}) {
    count_shrinkable(*account_);
    count_and_scan(*account_, 1);
    EXPECT_EQ(pause * 1'000, slow.row().pause_ms.load());
    slow.row().not_before_ms.store(1);  // it is over
  }
}

// One charge asks many times.

TEST_F(ShrinkerTest, WhatItCountedIsKeptForTheScan) {
  Cache cache(10 * kPage);
  AskedShrinkers asked;
  EXPECT_EQ(10, count_shrinkable(*account_));
  EXPECT_EQ(10, count_shrinkable(*account_));
  EXPECT_EQ(4, run_shrinkers(*account_, 4));
  EXPECT_EQ(1, cache.counted);
  EXPECT_EQ(6, count_shrinkable(*account_));
  EXPECT_EQ(6, run_shrinkers(*account_, 8));
  EXPECT_EQ(2, cache.counted);
  EXPECT_EQ(2, cache.scanned);
}

TEST_F(ShrinkerTest, WhatItCountedIsOfOneGroup) {
  Account& other = new_account();
  Cache cache(10 * kPage);
  AskedShrinkers asked;
  EXPECT_EQ(10, count_shrinkable(*account_));
  cache.bytes = 3 * kPage;
  EXPECT_EQ(3, count_shrinkable(other));
  EXPECT_EQ(2, cache.counted);
}

TEST_F(ShrinkerTest, OneThatGivesNothingIsAskedOnceInAPass) {
  Account& other = new_account();
  Cache cache(8 * kPage);
  cache.says = kShrinkStop;
  {
    AskedShrinkers asked;
    EXPECT_EQ(0, count_and_scan(*account_, 1));
    EXPECT_FALSE(has_shrinkers(*account_));
    EXPECT_EQ(0, count_and_scan(*account_, 1));
    EXPECT_EQ(1, cache.counted);
    EXPECT_EQ(1, cache.scanned);
    // Of another group it may have something.
    EXPECT_TRUE(has_shrinkers(other));
    cache.says = 0;
    EXPECT_EQ(1, count_and_scan(other, 1));
    EXPECT_EQ(0, count_and_scan(*account_, 1));
    AskedShrinkers::begin_pass();
    EXPECT_EQ(1, count_and_scan(*account_, 1));
    EXPECT_TRUE(has_shrinkers(*account_));
    AskedShrinkers::renew();
    EXPECT_EQ(1, count_and_scan(*account_, 1));
  }
  EXPECT_EQ(1, count_and_scan(*account_, 1));
}

TEST_F(ShrinkerTest, OneThatGivesNothingForLongIsAskedOnce) {
  Cache cache(8 * kPage);
  cache.in_scan = [] { sleep_ms(12); };
  cache.says = kShrinkStop;
  AskedShrinkers asked;
  EXPECT_EQ(0, count_and_scan(*account_, 1));
  AskedShrinkers::begin_pass();
  EXPECT_FALSE(has_shrinkers(*account_));
  AskedShrinkers::renew();
  EXPECT_TRUE(has_shrinkers(*account_));
}

TEST_F(ShrinkerTest, TheDeadlineIsForAllCalls) {
  Cache slow(100 * kPage, Cache::within(20));
  slow.in_count = [] { sleep_ms(3); };
  {
    AskedShrinkers asked;
    for (int i = 0; i < 50; ++i) count_and_scan(*account_, 1);
    EXPECT_LE(slow.scanned, 7);
    EXPECT_EQ(1u, slow.stats().overruns);
    EXPECT_GE(slow.stats().pause_ms, kFirstPauseMs - 5'000);
  }
  EXPECT_EQ(kFirstPauseMs, slow.row().pause_ms.load());
  slow.row().not_before_ms.store(1);
  // Each by itself is in time. (Also where the machine stands still.)
  slow.row().deadline_ms = 10'000;
  for (int i = 0; i < 3; ++i) count_and_scan(*account_, 1);
  EXPECT_EQ(1u, slow.stats().overruns);
  EXPECT_EQ(0u, slow.row().pause_ms.load());
}

TEST_F(ShrinkerTest, ManyGroupsAreMoreThanACharge) {
  Cache cache(8 * kPage);
  cache.says = kShrinkStop;
  AskedShrinkers asked;
  std::vector<Account*> accounts;
  for (int i = 0; i < 100; ++i) accounts.push_back(&new_account());
  for (Account* account : accounts) count_and_scan(*account, 1);
  EXPECT_EQ(100, cache.scanned);
  EXPECT_FALSE(has_shrinkers(*accounts.back()));
  EXPECT_TRUE(has_shrinkers(*accounts.front()));
}

TEST_F(ShrinkerTest, OneThatIsTooSlowIsSaidOnce) {
  test::ChildOutcome outcome = test::run_child([&] {
    ShrinkerSpec spec = Cache::within(1);
    spec.name = "blobs";
    Cache slow(8 * kPage, spec);
    slow.in_scan = [] { sleep_ms(3); };
    for (int i = 0; i < 3; ++i) {
      run_shrinkers(*account_, 1);
      slow.row().not_before_ms.store(1);
    }
    EXPECT_EQ(3u, slow.stats().overruns);
  });
  EXPECT_EQ(0, outcome.code) << outcome.error_text;
  const std::string& text = outcome.error_text;
  const size_t said = text.find("shrinker blobs took ");
  ASSERT_NE(std::string::npos, said) << text;
  EXPECT_EQ(std::string::npos, text.find("shrinker", said + 1)) << text;
  EXPECT_NE(std::string::npos, text.find("its deadline of 1 ms")) << text;
}

}  // namespace
}  // namespace umemcg
