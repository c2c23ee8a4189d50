// A thread that charges exactly (no stock), for a group of its own.
#pragma once

#include <gtest/gtest.h>

#include "alloc/cached.h"
#include "alloc/commit.h"
#include "stock/charge.h"
#include "stock/stock.h"
#include "tests/unit/alloc/range_support.h"
#include "tests/unit/stock/world.h"

namespace umemcg {

class AllocTest : public ::testing::Test {
 protected:
  void SetUp() override {
    start_world();
    reset_thread();
    t_context.exiting = true;  // takes no line, so has no stock
    account_ = &new_account();
    t_context.account = account_;
    errno = 0;
  }
  void TearDown() override {
    set_commit_protects(false);
    set_purge_protects(false);
    reset_thread();
  }

  // Uncommits and gives back everything of the account.
  static int64_t purge_all(Account& account) {
    return purge_cached(account, INT64_MAX, PurgeReason::kTrim);
  }
  static int64_t cached_pages(const Account& account) {
    return account.cached_pages.load();
  }
  // What the account has in its counter, its ledger and its statistics is what
  // the page table says.
  static void expect_consistent(const Account& account) {
    PageTotals totals = count_pages(account.id);
    EXPECT_EQ(totals.used + totals.cached, usage(account));
    EXPECT_EQ(totals.used + totals.cached, ledger_pages(account));
    EXPECT_EQ(totals.cached, cached_pages(account));
    EXPECT_EQ(totals.used, stat_of(account, Stat::kUsed));
    EXPECT_EQ(totals.cached, stat_of(account, Stat::kCached));
  }

  Account* account_ = nullptr;
};

}  // namespace umemcg
