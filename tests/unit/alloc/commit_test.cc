// One account's pages: reserved -> used -> cached -> used or reserved.

#include "alloc/commit.h"

#include "tests/unit/alloc/alloc_fixture.h"

namespace umemcg {
namespace {

class CommitTest : public AllocTest {};

TEST_F(CommitTest, ReservedToUsedIsCharged) {
  TestRange range(2);
  bool is_zero = false;
  ASSERT_TRUE(range.commit(0, 20, &is_zero));
  EXPECT_TRUE(is_zero);
  EXPECT_EQ(20, usage(*account_));
  EXPECT_EQ(0xffffu, range.word(0).used());
  EXPECT_EQ(0x000fu, range.word(1).used());
  EXPECT_EQ(account_->id, range.word(0).owner());
  EXPECT_EQ(1, stat_of(*account_, Stat::kPgpgin));
  EXPECT_EQ(20, stat_of(*account_, Stat::kCommitted));
  EXPECT_EQ(20, stat_of(*account_, Stat::kPageEvents));
  expect_consistent(*account_);
}

TEST_F(CommitTest, UsedToUsedIsChargedOnce) {
  TestRange range(1);
  ASSERT_TRUE(range.commit(0, 5));
  bool is_zero = true;
  ASSERT_TRUE(range.commit(2, 6, &is_zero));
  EXPECT_FALSE(is_zero);
  EXPECT_EQ(8, usage(*account_));
  EXPECT_EQ(0x00ffu, range.word(0).used());
  ASSERT_TRUE(range.commit(0, 8));
  EXPECT_EQ(8, usage(*account_));
  EXPECT_EQ(2, stat_of(*account_, Stat::kPgpgin));
  expect_consistent(*account_);
}

TEST_F(CommitTest, UsedToCachedStaysCharged) {
  TestRange range(1);
  ASSERT_TRUE(range.commit(0, 16));
  range.decommit(4, 8);
  EXPECT_EQ(16, usage(*account_));
  EXPECT_EQ(0xf00fu, range.word(0).used());
  EXPECT_EQ(0x0ff0u, range.word(0).cached());
  EXPECT_TRUE(range.word(0).queued());
  EXPECT_EQ(account_->id, range.word(0).owner());
  expect_consistent(*account_);
}

TEST_F(CommitTest, CachedToUsedTouchesNoCounter) {
  TestRange range(1);
  ASSERT_TRUE(range.commit(0, 16));
  *range.data(3) = 'x';
  range.decommit(0, 16);
  const int64_t charged = stat_of(*account_, Stat::kCharged);
  bool is_zero = true;
  ASSERT_TRUE(range.commit(0, 16, &is_zero));
  EXPECT_FALSE(is_zero);
  EXPECT_EQ('x', *range.data(3));
  EXPECT_EQ(16, usage(*account_));
  EXPECT_EQ(charged, stat_of(*account_, Stat::kCharged));
  EXPECT_EQ(0, stat_of(*account_, Stat::kUncharged));
  EXPECT_EQ(1, stat_of(*account_, Stat::kPgpgin));
  EXPECT_EQ(16, stat_of(*account_, Stat::kCommitted));
  expect_consistent(*account_);
}

TEST_F(CommitTest, CachedToReservedIsUncharged) {
  TestRange range(1);
  ASSERT_TRUE(range.commit(0, 16));
  *range.data(3) = 'x';
  range.decommit(0, 16);
  EXPECT_EQ(16, purge_all(*account_));
  EXPECT_EQ(0, usage(*account_));
  EXPECT_EQ(0u, range.word(0).bits());
  EXPECT_EQ(16, stat_of(*account_, Stat::kPurged));
  EXPECT_EQ(1, stat_of(*account_, Stat::kPgpgout));
  bool is_zero = false;
  ASSERT_TRUE(range.commit(0, 16, &is_zero));
  EXPECT_TRUE(is_zero);
  EXPECT_EQ(0, *range.data(3));
  expect_consistent(*account_);
}

TEST_F(CommitTest, AMixedCommitChargesTheReservedPagesOnly) {
  TestRange range(1);
  ASSERT_TRUE(range.commit(0, 8));
  range.decommit(4, 4);
  ASSERT_TRUE(range.commit(2, 8));  // 2 used, 4 cached, 2 reserved
  EXPECT_EQ(10, usage(*account_));
  EXPECT_EQ(0x03ffu, range.word(0).used());
  EXPECT_EQ(0u, range.word(0).cached());
  EXPECT_EQ(10, stat_of(*account_, Stat::kCommitted));
  expect_consistent(*account_);
}

TEST_F(CommitTest, APartOfACommitStaysCached) {
  TestRange range(1);
  ASSERT_TRUE(range.commit(0, 16));
  range.decommit(0, 16);
  ASSERT_TRUE(range.commit(6, 2));
  EXPECT_EQ(0x00c0u, range.word(0).used());
  EXPECT_EQ(0xff3fu, range.word(0).cached());
  EXPECT_EQ(16, usage(*account_));
  expect_consistent(*account_);
  EXPECT_EQ(14, purge_all(*account_));
  EXPECT_EQ(2, usage(*account_));
  EXPECT_EQ(0x00c0u, range.word(0).used());
  EXPECT_EQ(account_->id, range.word(0).owner());
  expect_consistent(*account_);
}

TEST_F(CommitTest, DecommitOfWhatIsNotUsedDoesNothing) {
  TestRange range(2);
  range.decommit(0, 32);
  EXPECT_EQ(0u, range.word(0).bits());
  ASSERT_TRUE(range.commit(0, 4));
  range.decommit(0, 4);
  range.decommit(0, 32);
  EXPECT_EQ(4, usage(*account_));
  EXPECT_EQ(0x000fu, range.word(0).cached());
  expect_consistent(*account_);
}

TEST_F(CommitTest, CommitRoundsOutwardDecommitInward) {
  TestRange range(1);
  ASSERT_TRUE(commit_pages(range.address(2) + 100, 2 * kPageSize, nullptr));
  EXPECT_EQ(0x001cu, range.word(0).used());
  decommit_pages(range.address(2) + 100, 2 * kPageSize);
  EXPECT_EQ(0x0008u, range.word(0).cached());
  decommit_pages(range.address(4) + 8, 100);
  EXPECT_EQ(0x0008u, range.word(0).cached());
  expect_consistent(*account_);
}

TEST_F(CommitTest, ReleaseUnchargesAtOnce) {
  TestRange range(3);
  ASSERT_TRUE(range.commit(0, 48));
  range.release(0, 20);
  EXPECT_EQ(28, usage(*account_));
  EXPECT_EQ(0u, range.word(0).bits());
  EXPECT_EQ(0xfff0u, range.word(1).used());
  range.release(0, 48);
  EXPECT_EQ(0, usage(*account_));
  EXPECT_EQ(0u, range.word(2).bits());
  expect_consistent(*account_);
}

TEST_F(CommitTest, ReleaseSkipsWhatHasNoRows) {
  release_pages(uintptr_t{0x3f} << 40, 4 * kSliceSize);
}

TEST_F(CommitTest, DecommitBooksEachOwner) {
  Account& other = new_account();
  TestRange range(3);
  ASSERT_TRUE(range.commit(0, 16));
  {
    ChargingScope scope(other);
    ASSERT_TRUE(range.commit(16, 16));
  }
  ASSERT_TRUE(range.commit(32, 16));
  range.decommit(8, 32);
  EXPECT_EQ(16, cached_pages(*account_));
  EXPECT_EQ(16, cached_pages(other));
  expect_consistent(*account_);
  expect_consistent(other);
}

TEST_F(CommitTest, SeveralCyclesKeepOnePlaceInTheQueue) {
  TestRange range(1);
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(range.commit(0, 16));
    range.decommit(0, 16);
  }
  EXPECT_EQ(16, usage(*account_));
  // Its stack holds the slice once.
  EXPECT_EQ(slice_number(range.address(0)) + 1, account_->cached_head.load());
  EXPECT_EQ(0u, range.slice(0).next.load());
  EXPECT_EQ(16, purge_all(*account_));
  expect_consistent(*account_);
}

// A purge that a fork cut off left its mark on the slice.
TEST_F(CommitTest, APurgeThatNobodyMakesIsNotWaitedFor) {
  TestRange range(1);
  ASSERT_TRUE(range.commit(0, 8));
  range.decommit(0, 8);
  range.slice(0).store(range.word(0).with_purging(true));
  ASSERT_TRUE(range.commit(0, 8));
  EXPECT_FALSE(range.word(0).purging());
  range.slice(0).store(range.word(0).with_purging(true));
  range.decommit(0, 8);
  EXPECT_EQ(0x00ffu, range.word(0).cached());
  expect_consistent(*account_);
}

}  // namespace
}  // namespace umemcg
