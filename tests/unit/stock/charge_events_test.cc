// What a charge sets off: who is over memory.high owes for it.

#include "stock/charge_events.h"

#include <gtest/gtest.h>

#include "accounting/reclaim_request.h"
#include "stock/charge.h"
#include "tests/unit/stock/world.h"

namespace umemcg {
namespace {

int times_noted = 0;

class ChargeEventsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    start_world();
    reset_thread();
    acquire_line();
    times_noted = 0;
    g_charge_event_hook.install([] { ++times_noted; });
  }
  void TearDown() override {
    g_charge_event_hook.install([] {});
    reset_thread();
  }

  static void charge(Account& account, uint32_t pages) {
    PageCounter* failed = nullptr;
    ASSERT_TRUE(try_charge(account, pages, &failed));
  }
  static void set_high(uint32_t group, int64_t pages) {
    g_segment.group(group)->high.store(pages);
  }
};

TEST_F(ChargeEventsTest, UpToHighNothingIsOwed) {
  Account& a = new_account();
  set_high(a.group, 64);
  charge(a, 1);
  charge(a, 32);
  EXPECT_EQ(64, usage(a));
  EXPECT_EQ(0u, t_context.over_high);
  EXPECT_EQ(0, times_noted);
}

TEST_F(ChargeEventsTest, AboveItTheBatchIsOwed) {
  Account& a = new_account();
  set_high(a.group, 31);
  charge(a, 1);
  EXPECT_EQ(32u, t_context.over_high);
  EXPECT_EQ(&a, t_context.over_high_account);
  // What comes out of the stock was owed with its batch.
  charge(a, 31);
  EXPECT_EQ(32u, t_context.over_high);
  charge(a, 100);
  EXPECT_EQ(132u, t_context.over_high);
  EXPECT_EQ(2, times_noted);
}

TEST_F(ChargeEventsTest, AnAncestorsHighCountsOnce) {
  const uint32_t top = new_group();
  const uint32_t middle = new_group(kPageCounterMax, top);
  Account& a = new_account(kPageCounterMax, middle);
  set_high(top, 10);
  set_high(middle, 10);
  charge(a, 40);
  EXPECT_EQ(40u, t_context.over_high);
  EXPECT_EQ(1, times_noted);
}

TEST_F(ChargeEventsTest, AHighOfNothingIsAlwaysExceeded) {
  Account& a = new_account();
  set_high(a.group, 0);
  charge(a, 1);
  EXPECT_EQ(32u, t_context.over_high);
}

TEST_F(ChargeEventsTest, ARefusedChargeOwesNothing) {
  Account& a = new_account(8);
  set_high(a.group, 0);
  PageCounter* failed = nullptr;
  EXPECT_FALSE(try_charge(a, 9, &failed));
  EXPECT_EQ(0u, t_context.over_high);
}

TEST_F(ChargeEventsTest, ADebtIsNeverSoLargeThatItIsSmall) {
  Account& a = new_account();
  set_high(a.group, 0);
  charge_events(a, UINT32_MAX);
  EXPECT_EQ(0u, t_context.over_high);  // nothing is charged
  charge(a, 1);
  charge_events(a, UINT32_MAX - 40);
  charge_events(a, 40);
  EXPECT_EQ(UINT32_MAX, t_context.over_high);
}

TEST_F(ChargeEventsTest, ARequestIsNoticedUntilItIsServed) {
  Account& a = new_account();
  auto& asked = g_segment.header().reclaim_seq;
  charge(a, 1);
  EXPECT_EQ(0, times_noted);
  asked.fetch_add(1);
  charge(a, 32);
  charge(a, 32);
  EXPECT_EQ(2, times_noted);
  g_requests_served.store(asked.load());
  charge(a, 32);
  EXPECT_EQ(2, times_noted);
  EXPECT_EQ(0u, t_context.over_high);
}

TEST_F(ChargeEventsTest, BelowHighWhatWasSleptIsForgotten) {
  Account& a = new_account();
  set_high(a.group, 40);
  a.throttled_ns.store(7);
  charge(a, 41);
  EXPECT_EQ(7u, a.throttled_ns.load());
  account_uncharge(a, 41);
  charge(a, 33);
  EXPECT_EQ(0u, a.throttled_ns.load());
  account_uncharge(a, 33);
}

}  // namespace
}  // namespace umemcg
