// Accounts whose groups go away: what they hold becomes the nearest ancestor's,
// and they are released once, when they hold nothing.

#include <gtest/gtest.h>

#include <string>

#include "accounting/account.h"
#include "accounting/process.h"
#include "accounting/recount.h"
#include "accounting/stock_word.h"
#include "tests/unit/accounting/fixture.h"
#include "tests/unit/accounting/tree_check.h"
#include "tests/unit/support/child.h"

namespace umemcg {
namespace {

using test::make_group;
using test::ThreadLine;

Group& row(uint32_t group) { return test::group_at(g_segment, group); }
int64_t usage(uint32_t group) { return row(group).memory.usage(); }

class StaleAccountTest : public test::OwnSegmentTest {
 protected:
  void SetUp() override {
    OwnSegmentTest::SetUp();
    ASSERT_EQ(attach_process(kRootGroup, "test"), 0);
    group_ = make_group(g_segment, "/a/b");
    above_ = parent_group(g_segment, group_);
    account_ = account_of(group_);
    ASSERT_NE(account_, nullptr);
  }
  void TearDown() override {
    EXPECT_EQ(test::tree_faults(g_segment), "");
    EXPECT_EQ(audit(g_segment), 0);
    OwnSegmentTest::TearDown();
  }
  // Removes the group, and has the process notice.
  void remove_and_sync() {
    ASSERT_EQ(remove_group(g_segment, group_), 0);
    sync_accounts();
  }

  uint32_t group_ = kNone, above_ = kNone;
  Account* account_ = nullptr;
};

TEST_F(StaleAccountTest, AncestorsSeeNothingOfARemoval) {
  account_charge(*account_, 10);
  account_charge_kind(*account_, Kind::kKmem, 4);
  ASSERT_EQ(remove_group(g_segment, group_), 0);
  for (uint32_t group : {above_, kRootGroup}) {
    EXPECT_EQ(usage(group), 10);
    EXPECT_EQ(row(group).kmem.usage(), 4);
  }
  sync_accounts();
  for (uint32_t group : {above_, kRootGroup}) {
    EXPECT_EQ(usage(group), 10);
    EXPECT_EQ(row(group).memory.watermark(), 10);
    EXPECT_EQ(row(group).kmem.usage(), 4);
  }
  EXPECT_TRUE(account_->stale);
  EXPECT_EQ(account_->charged, above_);
  EXPECT_EQ(account_->counter, &row(above_).memory);
  EXPECT_EQ(account_->ledger->owner, make_owner(this_process(), above_));
  // What it held is the parent's now.
  account_uncharge_kind(*account_, Kind::kKmem, 4);
  account_uncharge(*account_, 10);
  for (uint32_t group : {above_, kRootGroup}) {
    EXPECT_EQ(usage(group), 0);
    EXPECT_EQ(row(group).kmem.usage(), 0);
  }
}

// Before its process has noticed.
TEST_F(StaleAccountTest, WhatIsFreedBeforeThatIsRightToo) {
  account_charge(*account_, 10);
  ASSERT_EQ(remove_group(g_segment, group_), 0);
  account_uncharge(*account_, 3);
  EXPECT_EQ(usage(above_), 7);
  sync_accounts();
  account_uncharge(*account_, 7);
  EXPECT_EQ(usage(above_), 0);
  EXPECT_EQ(usage(kRootGroup), 0);
}

TEST_F(StaleAccountTest, NewChargesGoToTheNearestAncestor) {
  account_charge(*account_, 10);
  remove_and_sync();
  Account* now = current_of(account_);
  EXPECT_NE(now, account_);
  EXPECT_EQ(now->group, above_);
  EXPECT_EQ(now, account_of(group_));
  EXPECT_EQ(now, account_of(above_));
  EXPECT_EQ(current_of(now), now);
  account_uncharge(*account_, 10);
}

TEST_F(StaleAccountTest, ItIsTurnedOverAgainWhenTheParentGoes) {
  account_charge(*account_, 10);
  remove_and_sync();
  ASSERT_EQ(remove_group(g_segment, above_), 0);
  EXPECT_EQ(release_groups(g_segment), 1u);  // that of the group itself
  sync_accounts();
  EXPECT_EQ(account_->charged, kRootGroup);
  EXPECT_EQ(usage(kRootGroup), 10);
  EXPECT_EQ(release_groups(g_segment), 1u);
  account_uncharge(*account_, 10);
  EXPECT_EQ(usage(kRootGroup), 0);
}

TEST_F(StaleAccountTest, AProcessKnowsWhenToLook) {
  sync_accounts();
  EXPECT_FALSE(accounts_outdated());
  ASSERT_EQ(remove_group(g_segment, group_), 0);
  EXPECT_TRUE(test::wait_until([] { return accounts_outdated(); }));
  EXPECT_FALSE(account_->stale);
  sync_accounts();
  EXPECT_FALSE(accounts_outdated());
  EXPECT_TRUE(account_->stale);
}

TEST_F(StaleAccountTest, OneAloneCanBeLookedAt) {
  const uint32_t other = make_group(g_segment, "/c");
  Account* beside = account_of(other);
  ASSERT_EQ(remove_group(g_segment, group_), 0);
  ASSERT_EQ(remove_group(g_segment, other), 0);
  sync_account(*account_);
  EXPECT_TRUE(account_->stale);
  EXPECT_FALSE(beside->stale);
}

// The same path again is another group, with an account of its own.
TEST_F(StaleAccountTest, TheNextOfThatNameIsAStranger) {
  account_charge(*account_, 10);
  remove_and_sync();
  const uint32_t again = make_group(g_segment, "/a/b");
  Account* fresh = account_of(again);
  ASSERT_NE(fresh, account_);
  EXPECT_GT(fresh->group_id, account_->group_id);
  EXPECT_NE(fresh->ledger, account_->ledger);
  EXPECT_EQ(usage(again), 0);
  EXPECT_EQ(usage(above_), 10);
  EXPECT_EQ(current_of(account_)->group, above_);
  account_uncharge(*account_, 10);
  EXPECT_EQ(usage(above_), 0);
}

// Even if it has got the very row.
TEST_F(StaleAccountTest, AStrangerInItsRowIsNotMistakenForItsGroup) {
  account_charge(*account_, 10);
  remove_and_sync();
  ASSERT_EQ(release_groups(g_segment), 1u);
  ASSERT_EQ(make_group(g_segment, "/x"), group_);
  Account* stranger = account_of(group_);
  ASSERT_NE(stranger, account_);
  sync_accounts();
  EXPECT_EQ(account_->charged, above_);
  EXPECT_EQ(current_of(account_)->group, above_);
  EXPECT_FALSE(stranger->stale);
  account_charge(*stranger, 1);
  account_uncharge(*account_, 10);
  EXPECT_EQ(usage(above_), 0);
  EXPECT_EQ(usage(group_), 1);
  account_uncharge(*stranger, 1);
}

TEST_F(StaleAccountTest, StocksAreDrainedWithTheGroup) {
  ThreadLine line(0);
  account_charge(*account_, 10);
  line->slots[0] = StockWord(account_->ledger_index, 8).bits();
  ASSERT_EQ(remove_group(g_segment, group_), 0);
  EXPECT_EQ(usage(above_), 2);
  EXPECT_EQ(account_pages(*account_), 2);
  sync_accounts();
  account_uncharge(*account_, 2);
  EXPECT_EQ(account_pages(*account_), 0);
  EXPECT_EQ(usage(kRootGroup), 0);
}

// A controller that is switched off, and on again.
TEST_F(StaleAccountTest, WithoutItsControllerAGroupIsTheParents) {
  account_charge(*account_, 10);
  ASSERT_EQ(set_subtree_control(g_segment, above_, 0, kControllerMemory), 0);
  sync_accounts();
  EXPECT_TRUE(account_->stale);
  EXPECT_EQ(account_->charged, above_);
  EXPECT_EQ(usage(above_), 10);
  Account* now = current_of(account_);
  EXPECT_EQ(now->group, group_);
  EXPECT_EQ(now->charged, above_);
  account_charge(*now, 5);
  EXPECT_EQ(usage(above_), 15);
  ASSERT_EQ(set_subtree_control(g_segment, above_, kControllerMemory, 0), 0);
  sync_accounts();
  EXPECT_TRUE(now->stale);
  Account* own = current_of(now);
  EXPECT_EQ(own->charged, group_);
  EXPECT_EQ(usage(group_), 0);  // what its ledgers say
  account_charge(*own, 1);
  EXPECT_EQ(usage(group_), 1);
  EXPECT_EQ(usage(above_), 16);
  account_uncharge(*account_, 10);
  account_uncharge(*now, 5);
  account_uncharge(*own, 1);
  EXPECT_EQ(usage(above_), 0);
  EXPECT_EQ(usage(group_), 0);
}

TEST_F(StaleAccountTest, OnlyAnEmptyStaleOneIsReleased) {
  account_charge(*account_, 10);
  EXPECT_FALSE(account_release(*account_));
  remove_and_sync();
  EXPECT_FALSE(account_release(*account_));  // pages
  account_uncharge(*account_, 10);
  EXPECT_FALSE(account_->released);
  ASSERT_TRUE(account_get(*account_));
  EXPECT_FALSE(account_release(*account_));  // a user
  account_put(*account_);
  int there = 0;
  account_->heap = &there;
  EXPECT_FALSE(account_release(*account_));  // a heap
  account_->heap = nullptr;
  account_charge_kind(*account_, Kind::kSock, 1);
  EXPECT_FALSE(account_release(*account_));  // a kind's pages
  account_uncharge_kind(*account_, Kind::kSock, 1);
  count_stat(*account_, Stat::kUsed, 1);
  EXPECT_FALSE(account_release(*account_));  // an amount
  count_stat(*account_, Stat::kUsed, -1);
  EXPECT_TRUE(account_release(*account_));
  EXPECT_FALSE(account_release(*account_));
  EXPECT_FALSE(account_get(*account_));
}

TEST_F(StaleAccountTest, AmountsInALineKeepItToo) {
  ThreadLine line(0);
  count_stat(*account_, Stat::kCached, 3);
  remove_and_sync();
  EXPECT_FALSE(account_release(*account_));
  count_stat(*account_, Stat::kCached, -3);
  EXPECT_TRUE(account_release(*account_));
  EXPECT_EQ(line->stat_ledger, 0u);
}

TEST_F(StaleAccountTest, WhatIsReleasedIsUsedAgain) {
  const uint32_t id = account_->id, generation = account_->generation;
  const uint32_t ledger = account_->ledger_index;
  account_charge(*account_, 2);
  account_uncharge(*account_, 2);
  remove_and_sync();
  ASSERT_TRUE(account_release(*account_));
  EXPECT_EQ(g_segment.ledger(ledger)->owner, 0u);
  EXPECT_EQ(account_at(id), account_);
  EXPECT_TRUE(account_->released);
  Account* next = account_of(make_group(g_segment, "/c"));
  ASSERT_EQ(next, account_);
  EXPECT_EQ(next->id, id);
  EXPECT_GT(next->generation, generation);
  EXPECT_FALSE(next->released);
  EXPECT_FALSE(next->stale);
  EXPECT_EQ(next->users, 0u);
  EXPECT_EQ(account_pages(*next), 0);
  EXPECT_TRUE(account_get(*next));
  account_put(*next);
  // Its counts are not another's.
  int64_t stats[kStats];
  read_stats(g_segment, next->group, false, stats);
  EXPECT_EQ(stats[static_cast<int>(Stat::kCharged)], 0);
  read_stats(g_segment, above_, true, stats);
  EXPECT_EQ(stats[static_cast<int>(Stat::kCharged)], 2);
}

// What others drained stands in a word still: it goes with the account, and
// the ledger's next user has nothing of it.
TEST_F(StaleAccountTest, NoWordNamesAReleasedLedger) {
  ThreadLine line(0);
  account_charge(*account_, 12);
  line->slots[0] = StockWord(account_->ledger_index, 8).bits();
  line->reservation = StockWord(account_->ledger_index, 4).bits();
  drain_word(g_segment, line->slots[0]);
  drain_word(g_segment, line->reservation);
  remove_and_sync();
  ASSERT_EQ(account_pages(*account_), 0);
  ASSERT_TRUE(account_release(*account_));
  for (const auto* slot : {&line->slots[0], &line->reservation}) {
    EXPECT_EQ(slot->load(), 0u);
  }
  Account* next = account_of(make_group(g_segment, "/c"));
  account_charge(*next, 1);
  EXPECT_EQ(account_pages(*next), 1);
  account_uncharge(*next, 1);
}

TEST_F(StaleAccountTest, AWordWithPagesKeepsIt) {
  ThreadLine line(0);
  remove_and_sync();
  account_charge(*account_, 4);
  line->slots[1] = StockWord(account_->ledger_index, 4).bits();
  EXPECT_FALSE(account_release(*account_));
  settle_word(g_segment, StockWord(line->slots[1].exchange(0)));
  EXPECT_TRUE(account_release(*account_));
}

TEST_F(StaleAccountTest, ThreadsAreNotLeftInTheCounts) {
  account_->ledger->threads = 1;
  add_to_ancestors(g_segment, group_, &Group::threads, 1);
  remove_and_sync();
  ASSERT_TRUE(account_release(*account_));
  EXPECT_EQ(row(above_).threads, 0u);
  EXPECT_EQ(row(kRootGroup).threads, 0u);
}

TEST(StaleRemainder, IsWholePagesOrSaidOnce) {
  for (int64_t bytes : {int64_t{0}, int64_t{100}}) {
    const test::ChildOutcome outcome = test::run_child([bytes] {
      ASSERT_EQ(g_segment.create_private(test::kSmall), 0);
      ASSERT_EQ(attach_process(kRootGroup, "test"), 0);
      const uint32_t group = make_group(g_segment, "/a");
      Account& account = *account_of(group);
      account.remainder[1] = bytes;
      ASSERT_EQ(remove_group(g_segment, group), 0);
      sync_accounts();
      EXPECT_TRUE(account_release(account));
      EXPECT_EQ(account.remainder[1], 0);
    });
    EXPECT_EQ(outcome.code, 0);
    EXPECT_EQ(outcome.error_text.find("to the byte") != std::string::npos,
              bytes != 0)
        << outcome.error_text;
  }
}

// A child's accounts are its parent's: not released, not turned over.
TEST_F(StaleAccountTest, AnInheritedOneIsLeftAlone) {
  account_charge(*account_, 10);
  accounts_inherit();
  ASSERT_EQ(remove_group(g_segment, group_), 0);
  sync_accounts();
  EXPECT_FALSE(account_->stale);
  EXPECT_EQ(account_->charged, group_);
  EXPECT_FALSE(account_release(*account_));
  EXPECT_EQ(current_of(account_)->group, above_);
  account_->inherited = false;
  sync_accounts();
  account_uncharge(*account_, 10);
}

}  // namespace
}  // namespace umemcg
