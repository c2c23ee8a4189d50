// The fast half of try_charge: stock, counter, or a refusal that says who
// refused.

#include "stock/charge.h"

#include <gtest/gtest.h>

#include "accounting/process.h"
#include "accounting/victim.h"
#include "tests/unit/stock/world.h"

namespace umemcg {
namespace {

class ChargeTest : public ::testing::Test {
 protected:
  void SetUp() override {
    start_world();
    reset_thread();
    acquire_line();
  }
  void TearDown() override { reset_thread(); }

  PageCounter* failed_ = nullptr;
};

TEST_F(ChargeTest, ChargesABatchAndServesFromIt) {
  Account& a = new_account();
  ASSERT_TRUE(try_charge(a, 1, &failed_));
  EXPECT_EQ(32, usage(a));
  EXPECT_EQ(31, own_stock(a));
  for (int i = 0; i < 31; ++i) ASSERT_TRUE(try_charge(a, 1, &failed_));
  EXPECT_EQ(32, usage(a));
  EXPECT_EQ(0, own_stock(a));
  EXPECT_EQ(32, stat_of(a, Stat::kCharged));
}

TEST_F(ChargeTest, ARequestOfABatchOrMoreIsChargedExactly) {
  Account& a = new_account();
  ASSERT_TRUE(try_charge(a, 32, &failed_));
  EXPECT_EQ(32, usage(a));
  ASSERT_TRUE(try_charge(a, 1000, &failed_));
  EXPECT_EQ(1032, usage(a));
  EXPECT_EQ(0, own_stock(a));
}

TEST_F(ChargeTest, WithoutRoomForABatchItChargesTheRequest) {
  Account& a = new_account(10);
  ASSERT_TRUE(try_charge(a, 4, &failed_));
  EXPECT_EQ(4, usage(a));
  ASSERT_TRUE(try_charge(a, 6, &failed_));
  EXPECT_EQ(10, usage(a));
}

TEST_F(ChargeTest, ARefusalNamesTheCounterAndChargesNothing) {
  uint32_t parent = new_group(20);
  Account& a = new_account(30, parent);
  EXPECT_FALSE(try_charge(a, 31, &failed_));
  EXPECT_EQ(a.counter, failed_);
  EXPECT_FALSE(try_charge(a, 21, &failed_));
  EXPECT_EQ(&g_segment.group(parent)->memory, failed_);
  EXPECT_EQ(0, usage(a));
  EXPECT_EQ(0, group_usage(parent));
  EXPECT_EQ(0, ledger_pages(a));
}

TEST_F(ChargeTest, TheFastHalfCountsNoFailure) {
  Account& a = new_account(10);
  EXPECT_FALSE(try_charge(a, 11, &failed_));
  EXPECT_FALSE(try_charge(a, 5 + 6, &failed_));
  EXPECT_EQ(0u, a.counter.load()->failcnt());
}

TEST_F(ChargeTest, TheStockServesUpToTheLastPage) {
  Account& a = new_account(40);
  ASSERT_TRUE(try_charge(a, 1, &failed_));
  ASSERT_TRUE(try_charge(a, 8, &failed_));
  ASSERT_TRUE(try_charge(a, 23, &failed_));
  EXPECT_EQ(32, usage(a));
  ASSERT_TRUE(try_charge(a, 8, &failed_));
  EXPECT_FALSE(try_charge(a, 1, &failed_));
  EXPECT_EQ(40, usage(a));
}

// (A callback has called exit().)
TEST_F(ChargeTest, InReclaimAProcessThatEndsIsNotRefused) {
  Account& a = new_account(10);
  t_context.reclaiming = true;
  EXPECT_FALSE(try_charge(a, 11, &failed_));
  mark_ending(*own_process(), kProcessVictim);
  EXPECT_TRUE(try_charge(a, 11, &failed_));
  EXPECT_FALSE(try_charge(a, kMostForcedPages, &failed_));
  EXPECT_EQ(11, usage(a));
  t_context.reclaiming = false;
  own_process()->flags = 0;
  own_process()->forced = 0;
  account_uncharge(a, 11);
}

TEST_F(ChargeTest, TheDefaultSlowHalfDisarmsTheRecord) {
  t_charge_record.armed = true;
  g_charge_slow_hook();
  EXPECT_FALSE(t_charge_record.armed);
}

TEST_F(ChargeTest, NoFailScopesNest) {
  Account& a = new_account();
  Account& b = new_account();
  {
    NoFailScope outer(&a);
    EXPECT_EQ(&a, current_account());
    {
      NoFailScope inner(&b);
      EXPECT_EQ(&b, current_account());
    }
    EXPECT_EQ(&a, current_account());
    EXPECT_TRUE(t_context.no_fail);
  }
  EXPECT_FALSE(t_context.no_fail);
  EXPECT_EQ(g_process_account.load(), current_account());
}

}  // namespace
}  // namespace umemcg
