// Reclaim with a shrinker: the last source that is asked, and what it gives
// back is counted as its own.

#include "reclaim/reclaim.h"

#include <memory>

#include "reclaim/charge.h"
#include "tests/unit/alloc/alloc_fixture.h"
#include "tests/unit/reclaim/shrinker_fixture.h"

namespace umemcg {
namespace {

constexpr int64_t kUsed = 256;

class ShrinkerReclaimTest : public AllocTest {
 protected:
  void SetUp() override {
    AllocTest::SetUp();
    g_call_shrinker_hook.install(call_directly);
    account_->counter.load()->store_max(2 * kUsed);
    range_ = std::make_unique<TestRange>(2 * kUsed / kSlicePages);
    ASSERT_TRUE(range_->commit(0, kUsed));
  }
  void TearDown() override {
    EXPECT_FALSE(any_shrinkers());
    range_.reset();
    AllocTest::TearDown();
  }

  // The cache lets go of pages of the range, from its start.
  void free_pages(Cache& cache) {
    const size_t pages = cache.last_asked >> kPageShift;
    range_->decommit(freed_, pages);
    freed_ += pages;
  }
  // All that the group may have, so what is used must go.
  bool charge_all() {
    install_reclaim({false});
    ChargeRequest request{account_, 2 * kUsed, 0};
    EXPECT_FALSE(account_try_charge(*account_, request.pages, &request.failed));
    return charge_with_reclaim(request);
  }
  SourceCounts& source(Source which) {
    return g_segment.group(account_->group)->sources[static_cast<int>(which)];
  }

  std::unique_ptr<TestRange> range_;
  size_t freed_ = 0;
};

TEST_F(ShrinkerReclaimTest, GivesBackWhatItFreed) {
  Cache cache(kUsed * kPageSize, Cache::of(*account_));
  cache.in_scan = [&] { free_pages(cache); };
  Reclaimed got;
  const int64_t total =
      try_to_free_pages(account_->group, 64, ReclaimReason::kCharge, &got);
  EXPECT_GE(total, 64);
  EXPECT_EQ(total, got.total());
  EXPECT_EQ(total, got[Source::kShrinkers]);
  EXPECT_EQ(kUsed - total, usage(*account_));
  EXPECT_EQ(static_cast<size_t>(total), freed_);
  EXPECT_EQ(cache.stats().freed, freed_ * kPageSize);
  EXPECT_EQ(static_cast<uint64_t>(total),
            source(Source::kShrinkers).reclaimed.load());
  EXPECT_GE(source(Source::kShrinkers).scanned.load(),
            source(Source::kShrinkers).reclaimed.load());
  EXPECT_GT(source(Source::kShrinkers).ns.load(), 0u);
  EXPECT_FALSE(t_context.reclaiming);
  expect_consistent(*account_);
}

TEST_F(ShrinkerReclaimTest, IsAskedWhenNothingElseIsLeft) {
  range_->decommit(kUsed - 100, 100);
  Cache cache(kUsed * kPageSize, Cache::of(*account_));
  cache.in_scan = [&] { free_pages(cache); };
  Reclaimed got;
  EXPECT_GE(
      try_to_free_pages(account_->group, 64, ReclaimReason::kCharge, &got), 64);
  EXPECT_EQ(0, got[Source::kShrinkers]);
  EXPECT_EQ(0, cache.scanned);
  EXPECT_GE(
      try_to_free_pages(account_->group, 100, ReclaimReason::kCharge, &got),
      100);
  EXPECT_GE(got[Source::kShrinkers], 64);
}

TEST_F(ShrinkerReclaimTest, WhatIsOnlySaidDoesNotCount) {
  Cache cache(kUsed * kPageSize, Cache::of(*account_));
  cache.says = 64 * kPageSize;
  Reclaimed got;
  EXPECT_EQ(
      0, try_to_free_pages(account_->group, 64, ReclaimReason::kCharge, &got));
  EXPECT_GT(cache.scanned, 0);
  EXPECT_EQ(0, got[Source::kShrinkers]);
  EXPECT_EQ(kUsed, usage(*account_));
}

TEST_F(ShrinkerReclaimTest, OneThatGivesNothingHoldsNobodyUp) {
  Cache cache(kUsed * kPageSize, Cache::of(*account_));
  cache.says = kShrinkStop;
  cache.in_count = [] { sys::sleep_ns(11'000'000); };
  EXPECT_FALSE(charge_all());
  EXPECT_EQ(1, cache.counted);
  EXPECT_EQ(1, cache.scanned);
  EXPECT_FALSE(charge_all());
  EXPECT_EQ(2, cache.scanned);
}

// A lock that it needs is another's for a while.
TEST_F(ShrinkerReclaimTest, OneThatCannotYetIsAskedAgain) {
  Cache cache(kUsed * kPageSize, Cache::of(*account_));
  cache.says = kShrinkStop;
  cache.in_scan = [&] {
    if (cache.scanned <= 3) return;
    cache.says = 0;
    free_pages(cache);
  };
  EXPECT_TRUE(charge_all());
  account_uncharge(*account_, 2 * kUsed);
}

TEST_F(ShrinkerReclaimTest, IsNotAskedFromWithin) {
  Cache cache(kUsed * kPageSize, Cache::of(*account_));
  int64_t within = -1;
  cache.in_scan = [&] {
    within = try_to_free_pages(account_->group, 64, ReclaimReason::kProactive);
    free_pages(cache);
  };
  EXPECT_GE(try_to_free_pages(account_->group, 64, ReclaimReason::kCharge), 64);
  EXPECT_EQ(0, within);
}

}  // namespace
}  // namespace umemcg
