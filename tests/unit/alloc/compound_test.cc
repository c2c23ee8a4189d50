// Compounds (UMEMCG_THP=1): 512 pages are charged together and given back
// together.
#include "alloc/compound.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "alloc/cached.h"
#include "alloc/commit.h"
#include "stock/charge.h"
#include "stock/stock.h"
#include "tests/unit/alloc/range_support.h"
#include "tests/unit/stock/world.h"

namespace umemcg {
namespace {

// Whole compounds within a range of a test, whose own start may lie anywhere.
class CompoundTest : public testing::Test {
 protected:
  void SetUp() override {
    start_world();
    set_compound_mode(true);
    start_ = round_up(range_.address(0), kChunkSlices * kSliceSize);
    allow_compounds(start_, 4 * kCompoundSize);
  }
  void TearDown() override {
    decommit(0, 4 * kCompoundPages);
    purge_cached_subtree(kRootGroup, INT64_MAX, PurgeReason::kTrim);
    set_compound_mode(false);
  }

  uintptr_t at(int64_t page) const {
    return start_ + static_cast<size_t>(page) * kPageSize;
  }
  bool commit(int64_t page, size_t pages) const {
    return commit_pages(at(page), pages * kPageSize, nullptr);
  }
  void decommit(int64_t page, size_t pages) const {
    decommit_pages(at(page), pages * kPageSize);
  }
  SliceWord word(int64_t page) const {
    return find_slice(slice_number(at(page)))->load();
  }

  TestRange range_{4 * kChunkSlices};
  uintptr_t start_ = 0;
};

TEST_F(CompoundTest, FirstCommitChargesAllOfIt) {
  Account& account = new_account();
  ChargingScope scope(account);
  ASSERT_TRUE(commit(16, 16));
  EXPECT_EQ(ledger_pages(account) - all_stock(account), kCompoundPages);
  EXPECT_EQ(stat_of(account, Stat::kUsed), 16);
  EXPECT_EQ(stat_of(account, Stat::kCached), kCompoundPages - 16);
  EXPECT_EQ(stat_of(account, Stat::kAnonThp), kCompoundPages);
  EXPECT_TRUE(word(0).compound());
  EXPECT_EQ(word(0).cached(), 0xffffu);
  EXPECT_EQ(word(16).used(), 0xffffu);
}

TEST_F(CompoundTest, LaterCommitsAreChargedAlready) {
  Account& account = new_account();
  ChargingScope scope(account);
  ASSERT_TRUE(commit(16, 16));
  ASSERT_TRUE(commit(0, 16));
  ASSERT_TRUE(commit(256, 64));
  EXPECT_EQ(ledger_pages(account) - all_stock(account), kCompoundPages);
  EXPECT_EQ(stat_of(account, Stat::kUsed), 96);
  EXPECT_TRUE(word(0).compound());
}

TEST_F(CompoundTest, GivenBackWholeAndOnlyWhenFree) {
  Account& account = new_account();
  ChargingScope scope(account);
  ASSERT_TRUE(commit(0, 16));
  ASSERT_TRUE(commit(32, 16));
  decommit(0, 16);
  EXPECT_EQ(purge_cached(account, 1, PurgeReason::kReclaim), 0);
  decommit(32, 16);
  EXPECT_EQ(purge_cached(account, 1, PurgeReason::kReclaim), kCompoundPages);
  EXPECT_EQ(ledger_pages(account) - all_stock(account), 0);
  EXPECT_EQ(stat_of(account, Stat::kAnonThp), 0);
  EXPECT_EQ(stat_of(account, Stat::kCached), 0);
  EXPECT_FALSE(word(0).compound());
  // And again, now that some of its slices have been through the queue.
  ASSERT_TRUE(commit(0, 16));
  decommit(0, 16);
  EXPECT_EQ(purge_cached(account, 1, PurgeReason::kReclaim), kCompoundPages);
  EXPECT_EQ(ledger_pages(account) - all_stock(account), 0);
}

TEST_F(CompoundTest, NoRoomForAllOfItIsARefusal) {
  Account& account = new_account(kCompoundPages - 1);
  ChargingScope scope(account);
  EXPECT_FALSE(commit(0, 16));
  t_charge_record.armed = false;
  EXPECT_EQ(ledger_pages(account) - all_stock(account), 0);
  EXPECT_EQ(word(0), SliceWord());
  EXPECT_EQ(word(32), SliceWord());
}

TEST_F(CompoundTest, AnotherAccountTakesItsSliceAndBreaksIt) {
  Account& first = new_account();
  Account& second = new_account();
  {
    ChargingScope scope(first);
    ASSERT_TRUE(commit(0, 16));
  }
  {
    ChargingScope scope(second);
    ASSERT_TRUE(commit(16, 16));
  }
  EXPECT_EQ(ledger_pages(first) - all_stock(first), kCompoundPages - 16);
  EXPECT_EQ(ledger_pages(second) - all_stock(second), 16);
  EXPECT_EQ(stat_of(first, Stat::kAnonThp), 0);
  EXPECT_FALSE(word(0).compound());
}

TEST_F(CompoundTest, ThreadsShareCompoundsExactly) {
  Account& account = new_account();
  auto work = [&](int64_t first) {
    ChargingScope scope(account);
    for (int round = 0; round < 2000; ++round) {
      for (int64_t page = first; page < 4 * kCompoundPages; page += 64) {
        ASSERT_TRUE(commit(page, 16));
      }
      for (int64_t page = first; page < 4 * kCompoundPages; page += 64) {
        decommit(page, 16);
      }
      if (round % 16 == 0) purge_cached(account, 1024, PurgeReason::kReclaim);
    }
    release_line();
  };
  std::vector<std::thread> threads;
  for (int64_t t = 0; t < 4; ++t) threads.emplace_back(work, t * 16);
  for (std::thread& thread : threads) thread.join();
  purge_cached(account, INT64_MAX, PurgeReason::kReclaim);
  EXPECT_EQ(ledger_pages(account) - all_stock(account), 0);
  EXPECT_EQ(stat_of(account, Stat::kUsed), 0);
  EXPECT_EQ(stat_of(account, Stat::kCached), 0);
  EXPECT_EQ(stat_of(account, Stat::kAnonThp), 0);
}

}  // namespace
}  // namespace umemcg
