// UMEMCG_THP=1: 2 MiB are charged at once and given back at once.

#include "alloc/compound.h"

#include "alloc/commit.h"
#include "tests/unit/alloc/alloc_fixture.h"

namespace umemcg {
namespace {

class CompoundTest : public AllocTest {
 protected:
  void SetUp() override {
    AllocTest::SetUp();
    set_compound_mode(true);
    other_ = &new_account();
    range_ = std::make_unique<TestRange>(kChunkSlices);
    allow_compounds(range_->address(0), range_->pages() * kPageSize);
  }
  void TearDown() override {
    range_.reset();
    set_compound_mode(false);
    AllocTest::TearDown();
  }
  bool commit_as_other(size_t page, size_t count) {
    ChargingScope scope(*other_);
    return range_->commit(page, count);
  }

  Account* other_ = nullptr;
  std::unique_ptr<TestRange> range_;
};

TEST_F(CompoundTest, TheFirstCommitChargesAllOfIt) {
  ASSERT_TRUE(range_->commit(20, 4));
  EXPECT_EQ(kCompoundPages, usage(*account_));
  EXPECT_EQ(kCompoundPages - 4, cached_pages(*account_));
  EXPECT_EQ(kCompoundPages, stat_of(*account_, Stat::kAnonThp));
  EXPECT_EQ(1, stat_of(*account_, Stat::kPgpgin));
  EXPECT_EQ(0u, range_->word(kCompoundSlices).bits());
  expect_consistent(*account_);
}

TEST_F(CompoundTest, LaterCommitsFindItCharged) {
  ASSERT_TRUE(range_->commit(20, 4));
  ASSERT_TRUE(range_->commit(0, 16));
  ASSERT_TRUE(range_->commit(300, 212));
  EXPECT_EQ(kCompoundPages, usage(*account_));
  EXPECT_EQ(1, stat_of(*account_, Stat::kPgpgin));
  expect_consistent(*account_);
}

TEST_F(CompoundTest, ACommitOverTwoChargesTwo) {
  ASSERT_TRUE(range_->commit(500, 20));
  EXPECT_EQ(2 * kCompoundPages, usage(*account_));
  expect_consistent(*account_);
}

TEST_F(CompoundTest, ACommitThatDoesNotFitChargesNothing) {
  account_->counter.load()->store_max(kCompoundPages - 1);
  EXPECT_FALSE(range_->commit(0, 1));
  EXPECT_EQ(kCompoundPages, t_charge_record.pages);
  EXPECT_EQ(0, usage(*account_));
  EXPECT_EQ(0u, range_->word(0).bits());
  EXPECT_EQ(0, stat_of(*account_, Stat::kAnonThp));
}

TEST_F(CompoundTest, ItIsGivenBackWhenNoneOfItIsInUse) {
  ASSERT_TRUE(range_->commit(0, 32));
  range_->decommit(0, 31);
  EXPECT_EQ(0, purge_all(*account_));
  EXPECT_EQ(kCompoundPages, usage(*account_));
  range_->decommit(31, 1);
  CountCalls advise(FailCalls::kAdvise);
  EXPECT_EQ(kCompoundPages, purge_all(*account_));
  EXPECT_EQ(1, advise.seen());
  EXPECT_EQ(0, usage(*account_));
  EXPECT_EQ(0, stat_of(*account_, Stat::kAnonThp));
  expect_consistent(*account_);
}

TEST_F(CompoundTest, AnotherAccountBreaksIt) {
  ASSERT_TRUE(range_->commit(0, 16));
  ASSERT_TRUE(commit_as_other(160, 16));
  EXPECT_EQ(kCompoundPages - 16, usage(*account_));
  EXPECT_EQ(16, usage(*other_));
  EXPECT_EQ(0, stat_of(*account_, Stat::kAnonThp));
  expect_consistent(*account_);
  expect_consistent(*other_);
  // What the first has cached there is given back page by page now.
  EXPECT_EQ(kCompoundPages - 32, purge_all(*account_));
  EXPECT_EQ(16, usage(*account_));
  range_->decommit(0, 16);
  EXPECT_EQ(16, purge_all(*account_));
  {
    ChargingScope scope(*other_);
    range_->decommit(160, 16);
  }
  EXPECT_EQ(16, purge_all(*other_));
  EXPECT_EQ(0, usage(*account_));
  EXPECT_EQ(0, usage(*other_));
}

TEST_F(CompoundTest, WhatIsFreeOfABrokenOneIsChargedAndGivenBackBySlices) {
  ASSERT_TRUE(range_->commit(0, 16));
  ASSERT_TRUE(commit_as_other(160, 16));
  EXPECT_EQ(kCompoundPages - 32, purge_all(*account_));
  // All that is free there goes to the next committer.
  ASSERT_TRUE(commit_as_other(320, 16));
  EXPECT_EQ(kCompoundPages - 16, usage(*other_));
  EXPECT_EQ(0, stat_of(*other_, Stat::kAnonThp));
  expect_consistent(*other_);
  EXPECT_EQ(kCompoundPages - 48, purge_all(*other_));
  EXPECT_EQ(32, usage(*other_));
  expect_consistent(*other_);
}

TEST_F(CompoundTest, TheAllocatorsRecordsAreChargedByPages) {
  NoFailScope scope(account_);
  ASSERT_TRUE(range_->commit(0, 16));
  EXPECT_EQ(16, usage(*account_));
  expect_consistent(*account_);
}

TEST_F(CompoundTest, ElsewherePagesAreCharged) {
  TestRange plain(1);
  ASSERT_TRUE(plain.commit(0, 3));
  EXPECT_EQ(3, usage(*account_));
}

TEST_F(CompoundTest, WhatTheSystemWillNotTakeBackStaysCharged) {
  ASSERT_TRUE(range_->commit(0, 16));
  range_->decommit(0, 16);
  {
    FailCalls advise(FailCalls::kAdvise, EINVAL);
    EXPECT_EQ(0, purge_all(*account_));
  }
  EXPECT_EQ(kCompoundPages, usage(*account_));
  expect_consistent(*account_);
  EXPECT_EQ(kCompoundPages, purge_all(*account_));
  expect_consistent(*account_);
}

}  // namespace
}  // namespace umemcg
