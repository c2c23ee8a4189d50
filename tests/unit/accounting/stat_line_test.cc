#include "accounting/stat_line.h"

#include "accounting/stock_word.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "tests/unit/accounting/fixture.h"

namespace umemcg {
namespace {

class StatLineTest : public test::OwnSegmentTest {
 protected:
  void SetUp() override {
    OwnSegmentTest::SetUp();
    a_ = account_of(test::make_group(g_segment, "/a"));
    b_ = account_of(test::make_group(g_segment, "/a/b"));
    ASSERT_NE(a_, nullptr);
    ASSERT_NE(b_, nullptr);
  }
  // Gives the thread a line, as its first charge would.
  StockLine& take_line() {
    StockLine* line = g_segment.line(0);
    line->owner = 1;
    g_segment.header().lines_high = 1;
    set_thread_line(line);
    return *line;
  }
  static int64_t in(const StatArray& stats, Stat stat) {
    return stats[static_cast<int>(stat)];
  }
  static int64_t read(uint32_t group, Stat stat, bool subtree = false) {
    int64_t stats[kStats];
    read_stats(g_segment, group, subtree, stats);
    return stats[static_cast<int>(stat)];
  }

  Account* a_ = nullptr;
  Account* b_ = nullptr;
};

TEST_F(StatLineTest, WithoutALineCountsGoToTheLedger) {
  EXPECT_EQ(thread_line(), nullptr);
  count_stat(*a_, Stat::kPgpgin, 2);
  EXPECT_EQ(in(a_->ledger->stat, Stat::kPgpgin), 2);
  EXPECT_EQ(read(a_->group, Stat::kPgpgin), 2);
}

TEST_F(StatLineTest, ALineCollectsForOneGroupAtATime) {
  StockLine& line = take_line();
  count_stat(*a_, Stat::kPgpgin, 2);
  count_stat(*a_, Stat::kUsed, 5);
  EXPECT_EQ(in(a_->ledger->stat, Stat::kPgpgin), 0);
  EXPECT_EQ(in(line.stat, Stat::kPgpgin), 2);
  EXPECT_EQ(read(a_->group, Stat::kPgpgin), 2);
  // Turning to another group passes the sums on.
  count_stat(*b_, Stat::kPgpgin, 1);
  EXPECT_EQ(in(a_->ledger->stat, Stat::kPgpgin), 2);
  EXPECT_EQ(in(a_->ledger->stat, Stat::kUsed), 5);
  EXPECT_EQ(in(line.stat, Stat::kPgpgin), 1);
  EXPECT_EQ(in(line.stat, Stat::kUsed), 0);
  EXPECT_EQ(read(a_->group, Stat::kPgpgin), 2);
  EXPECT_EQ(read(b_->group, Stat::kPgpgin), 1);
}

TEST_F(StatLineTest, FlushPassesEverythingOn) {
  StockLine& line = take_line();
  for (int i = 0; i < kStats; ++i) count_stat(*b_, static_cast<Stat>(i), i + 1);
  flush_stat_line(g_segment, line);
  for (int i = 0; i < kStats; ++i) {
    EXPECT_EQ(line.stat[i], 0);
    EXPECT_EQ(b_->ledger->stat[i], i + 1);
    EXPECT_EQ(read(b_->group, static_cast<Stat>(i)), i + 1);
  }
  flush_stat_line(g_segment, line);
  EXPECT_EQ(read(b_->group, Stat::kUsed), 1);
}

TEST_F(StatLineTest, ASubtreeSumsGroupsLedgersAndLines) {
  const uint32_t other = test::make_group(g_segment, "/other");
  g_segment.group(b_->group)->stat[static_cast<int>(Stat::kPgpgin)] = 100;
  count_stat(*a_, Stat::kPgpgin, 10);
  count_stat(*account_of(other), Stat::kPgpgin, 1000);
  take_line();
  count_stat(*b_, Stat::kPgpgin, 1);
  EXPECT_EQ(read(b_->group, Stat::kPgpgin), 101);
  EXPECT_EQ(read(a_->group, Stat::kPgpgin), 10);
  EXPECT_EQ(read(a_->group, Stat::kPgpgin, true), 111);
  EXPECT_EQ(read(kRootGroup, Stat::kPgpgin), 0);
  EXPECT_EQ(read(kRootGroup, Stat::kPgpgin, true), 1111);
}

TEST_F(StatLineTest, AmountsAreNeverShownNegative) {
  count_stat(*a_, Stat::kUsed, -5);
  EXPECT_EQ(read(a_->group, Stat::kUsed), 0);
  // What another thread holds of the same group makes up for it.
  count_stat(*b_, Stat::kUsed, 7);
  EXPECT_EQ(read(a_->group, Stat::kUsed, true), 2);
}

TEST_F(StatLineTest, ALineWithoutOwnerIsNotRead) {
  StockLine& line = take_line();
  count_stat(*a_, Stat::kUsed, 5);
  line.owner = 0;
  EXPECT_EQ(read(a_->group, Stat::kUsed), 0);
}

TEST_F(StatLineTest, WhatIsChargedAheadIsSummedOverTheSubtree) {
  StockLine& line = take_line();
  auto word = [](const Account& account, uint32_t pages) {
    return StockWord(account.ledger_index, pages).bits();
  };
  line.slots[0] = word(*a_, 30);
  line.slots[3] = word(*b_, 4);
  line.slots[5] = StockWord(999, 7).bits();  // no such ledger
  line.reservation = word(*b_, 200);
  EXPECT_EQ(stock_pages(g_segment, a_->group), 234);
  EXPECT_EQ(stock_pages(g_segment, b_->group), 204);
  EXPECT_EQ(stock_pages(g_segment, kRootGroup), 234);
}

TEST_F(StatLineTest, EveryThreadHasItsOwnLine) {
  take_line();
  std::thread([] { EXPECT_EQ(thread_line(), nullptr); }).join();
}

// A reader beside a writer that turns from group to group: nothing is lost,
// and what is read is never negative or more than was counted.
TEST_F(StatLineTest, ReadersSeeNoNonsenseWhileALineIsFlushed) {
  constexpr int64_t kRounds = 20000;
  std::atomic<bool> done{false};
  std::thread writer([&] {
    StockLine* line = g_segment.line(1);
    line->owner = 1;
    g_segment.header().lines_high = 2;
    set_thread_line(line);
    for (int64_t i = 0; i < kRounds; ++i) {
      count_stat(i % 2 == 0 ? *a_ : *b_, Stat::kPgpgin, 1);
      count_stat(*a_, Stat::kUsed, 3);
      count_stat(*a_, Stat::kUsed, -3);
    }
    flush_stat_line(g_segment, *line);
    set_thread_line(nullptr);
    done = true;
  });
  while (!done) {
    int64_t counted = read(kRootGroup, Stat::kPgpgin, true);
    EXPECT_GE(counted, 0);
    EXPECT_LE(counted, kRounds);
    EXPECT_GE(read(a_->group, Stat::kUsed), 0);
  }
  writer.join();
  EXPECT_EQ(read(a_->group, Stat::kPgpgin), kRounds / 2);
  EXPECT_EQ(read(b_->group, Stat::kPgpgin), kRounds / 2);
  EXPECT_EQ(read(kRootGroup, Stat::kPgpgin, true), kRounds);
  EXPECT_EQ(read(a_->group, Stat::kUsed), 0);
}

}  // namespace
}  // namespace umemcg
