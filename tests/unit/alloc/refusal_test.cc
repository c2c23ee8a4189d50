// A charge that does not fit: what the hook tries, and what it leaves behind.

#include "alloc/commit.h"
#include "tests/unit/alloc/alloc_fixture.h"

namespace umemcg {
namespace {

class RefusalTest : public AllocTest {
 protected:
  void SetUp() override {
    AllocTest::SetUp();
    account_->counter.load()->store_max(kMax);
  }
  static constexpr int64_t kMax = 32;
};

TEST_F(RefusalTest, ArmsTheRecordAndChangesNothing) {
  TestRange range(3);
  ASSERT_TRUE(range.commit(0, 16));
  errno = EINTR;
  EXPECT_FALSE(range.commit(16, 17));
  EXPECT_EQ(EINTR, errno);
  EXPECT_TRUE(t_charge_record.armed);
  EXPECT_EQ(account_, t_charge_record.account);
  EXPECT_EQ(account_->counter, t_charge_record.failed);
  EXPECT_EQ(17u, t_charge_record.pages);
  EXPECT_EQ(EINTR, t_charge_record.saved_errno);
  EXPECT_EQ(0u, range.word(1).bits());
  EXPECT_EQ(0u, range.word(2).bits());
  EXPECT_EQ(0u, account_->counter.load()->failcnt());
  expect_consistent(*account_);
}

TEST_F(RefusalTest, AnArmedRecordRefusesAtOnce) {
  TestRange range(3);
  EXPECT_FALSE(range.commit(0, 33));
  EXPECT_FALSE(range.commit(40, 1));  // it would fit
  EXPECT_EQ(0, usage(*account_));
  EXPECT_EQ(33u, t_charge_record.pages);
  t_charge_record.armed = false;
  EXPECT_TRUE(range.commit(40, 1));
  expect_consistent(*account_);
}

TEST_F(RefusalTest, CachedPagesAreLentEvenThen) {
  TestRange range(3);
  ASSERT_TRUE(range.commit(0, 4));
  range.decommit(0, 4);
  t_charge_record.armed = true;
  EXPECT_TRUE(range.commit(0, 4));
  EXPECT_EQ(4, usage(*account_));
  EXPECT_FALSE(range.commit(0, 5));
  expect_consistent(*account_);
}

TEST_F(RefusalTest, ItsOwnCachedPagesMakeRoomToo) {
  TestRange range(3);
  ASSERT_TRUE(range.commit(0, 16));
  range.decommit(8, 4);
  EXPECT_FALSE(range.commit(0, 48));
  EXPECT_EQ(0xf0ffu, range.word(0).used());
  EXPECT_EQ(0u, range.word(0).cached());
  EXPECT_EQ(36u, t_charge_record.pages);
  expect_consistent(*account_);
}

TEST_F(RefusalTest, CachedPagesElsewhereMakeRoom) {
  TestRange range(4);
  ASSERT_TRUE(range.commit(0, 32));
  range.decommit(0, 16);
  ASSERT_TRUE(range.commit(32, 16));
  EXPECT_EQ(0u, range.word(0).cached());
  EXPECT_EQ(0u, range.word(0).owner());
  EXPECT_EQ(32, usage(*account_));
  EXPECT_FALSE(t_charge_record.armed);
  EXPECT_EQ(16, stat_of(*account_, Stat::kPgsteal));
  expect_consistent(*account_);
}

TEST_F(RefusalTest, CachedPagesOfTheSubtreeUnderTheLimitMakeRoom) {
  uint32_t parent = new_group(16);
  Account& first = new_account(kPageCounterMax, parent);
  Account& second = new_account(kPageCounterMax, parent);
  TestRange range(3);
  {
    ChargingScope scope(first);
    ASSERT_TRUE(range.commit(0, 16));
    range.decommit(0, 16);
  }
  ASSERT_TRUE(range.commit(32, 16));  // another subtree's
  range.decommit(32, 16);
  ChargingScope scope(second);
  ASSERT_TRUE(range.commit(16, 16));
  EXPECT_EQ(0, usage(first));
  EXPECT_EQ(16, usage(second));
  EXPECT_EQ(16, group_usage(parent));
  EXPECT_EQ(16, usage(*account_));
}

TEST_F(RefusalTest, PagesThatReclaimTookAreCountedWhenTheyComeBack) {
  TestRange range(4);
  ASSERT_TRUE(range.commit(0, 32));
  range.decommit(1, 15);
  ASSERT_TRUE(range.commit(32, 15));
  EXPECT_TRUE(range.word(0).refault());
  range.release(32, 15);
  ASSERT_TRUE(range.commit(1, 15));
  EXPECT_EQ(15, stat_of(*account_, Stat::kRefault));
  EXPECT_FALSE(range.word(0).refault());
}

TEST_F(RefusalTest, NoFailGoesOverTheLimit) {
  TestRange range(4);
  {
    NoFailScope scope(account_);
    ASSERT_TRUE(range.commit(0, 48));
  }
  EXPECT_EQ(48, usage(*account_));
  EXPECT_FALSE(range.commit(48, 1));
  expect_consistent(*account_);
}

TEST_F(RefusalTest, NoFailIsNotStoppedByAnArmedRecord) {
  TestRange range(4);
  EXPECT_FALSE(range.commit(0, 48));
  NoFailScope scope(account_);
  EXPECT_TRUE(range.commit(0, 48));
}

TEST_F(RefusalTest, AReservationServesTheSecondTry) {
  TestRange range(2);
  ASSERT_TRUE(range.commit(0, 16));
  account_charge(*account_, 16);
  reserve_pages(*account_, 16);
  ASSERT_TRUE(range.commit(16, 16));
  EXPECT_EQ(32, usage(*account_));
  expect_consistent(*account_);
}

TEST_F(RefusalTest, ASmallReservationIsCompletedOrGivenBack) {
  TestRange range(4);
  account_charge(*account_, 10);
  reserve_pages(*account_, 10);
  ASSERT_TRUE(range.commit(0, 16));
  EXPECT_EQ(16, usage(*account_));
  account_charge(*account_, 10);
  reserve_pages(*account_, 10);
  EXPECT_FALSE(range.commit(16, 17));
  EXPECT_EQ(17u, t_charge_record.pages);
  EXPECT_EQ(16, usage(*account_));
  expect_consistent(*account_);
}

TEST_F(RefusalTest, ASmallerSecondTryGivesTheRestBack) {
  TestRange range(4);
  account_charge(*account_, 16);
  reserve_pages(*account_, 16);
  ASSERT_TRUE(range.commit(0, 4));
  EXPECT_EQ(4, usage(*account_));
  expect_consistent(*account_);
}

TEST_F(RefusalTest, AnEvictionForARefusedChargeLeavesTheSliceReserved) {
  Account& other = new_account();
  TestRange range(3);
  {
    ChargingScope scope(other);
    ASSERT_TRUE(range.commit(0, 16));
    range.decommit(0, 16);
  }
  EXPECT_FALSE(range.commit(0, 48));
  EXPECT_EQ(0, usage(other));
  EXPECT_EQ(0u, range.word(0).owner());
  expect_consistent(other);
  // Its place in the other's queue is taken out when that is looked through.
  purge_all(other);
  EXPECT_EQ(0u, range.word(0).bits());
  t_charge_record.armed = false;
  EXPECT_TRUE(range.commit(0, 16));
  expect_consistent(*account_);
}

}  // namespace
}  // namespace umemcg
