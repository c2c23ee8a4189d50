// One thread's stock: what it consumes, what it keeps, what it gives back.

#include "stock/stock.h"

#include <gtest/gtest.h>

#include "stock/charge.h"
#include "tests/unit/stock/world.h"

namespace umemcg {
namespace {

class StockTest : public ::testing::Test {
 protected:
  void SetUp() override {
    start_world();
    reset_thread();
    acquire_line();
  }
  void TearDown() override { reset_thread(); }

  // Charges pages and puts them into the stock.
  static void stock(Account& account, uint32_t pages) {
    account_charge(account, pages);
    refill_stock(account, pages);
  }
};

TEST_F(StockTest, ConsumesWhatWasChargedAhead) {
  Account& a = new_account();
  stock(a, 5);
  EXPECT_EQ(5, own_stock(a));
  EXPECT_TRUE(consume_stock(a, 2));
  EXPECT_TRUE(consume_stock(a, 3));
  EXPECT_EQ(0, own_stock(a));
  EXPECT_FALSE(consume_stock(a, 1));
  EXPECT_EQ(5, usage(a));
}

TEST_F(StockTest, MissesWhenTooFewAndKeepsThem) {
  Account& a = new_account();
  stock(a, 3);
  EXPECT_FALSE(consume_stock(a, 4));
  EXPECT_EQ(3, own_stock(a));
}

TEST_F(StockTest, MissesAnotherAccountsPages) {
  Account& a = new_account();
  Account& b = new_account();
  stock(a, 8);
  EXPECT_FALSE(consume_stock(b, 1));
  EXPECT_EQ(8, own_stock(a));
}

TEST_F(StockTest, MissesWithoutALine) {
  Account& a = new_account();
  stock(a, 8);
  release_line();
  EXPECT_FALSE(consume_stock(a, 1));
  EXPECT_EQ(0, usage(a));
  // Without a line there is nowhere to put pages: they go straight back.
  stock(a, 8);
  EXPECT_EQ(0, usage(a));
}

TEST_F(StockTest, RefillAddsUpToTheBatch) {
  Account& a = new_account();
  stock(a, 20);
  stock(a, 12);
  EXPECT_EQ(32, own_stock(a));
  EXPECT_EQ(32, usage(a));
}

TEST_F(StockTest, RefillBeyondTheBatchDrainsTheSlot) {
  Account& a = new_account();
  stock(a, 20);
  stock(a, 13);
  EXPECT_EQ(0, own_stock(a));
  EXPECT_EQ(0, usage(a));
  EXPECT_EQ(0, ledger_pages(a));
}

TEST_F(StockTest, RefillOfMoreThanABatchGoesBack) {
  Account& a = new_account();
  stock(a, 7);
  stock(a, kChargeBatch + 1);
  EXPECT_EQ(7, own_stock(a));
  EXPECT_EQ(7, usage(a));
}

TEST_F(StockTest, RefillOfNothingTakesNoSlot) {
  Account& a = new_account();
  refill_stock(a, 0);
  for (auto& slot : thread_line()->slots) EXPECT_EQ(0u, slot.load());
}

TEST_F(StockTest, AnEmptiedSlotIsUsedAgain) {
  for (int i = 0; i < 3 * kStockSlots; ++i) {
    Account& a = new_account();
    stock(a, 4);
    ASSERT_TRUE(consume_stock(a, 4));
    EXPECT_EQ(4, usage(a));  // consumed, not drained
  }
}

TEST_F(StockTest, WithoutAFreeSlotAVictimIsDrained) {
  Account* accounts[kStockSlots + 1];
  for (Account*& account : accounts) {
    account = &new_account();
    stock(*account, 10);
  }
  Account& last = *accounts[kStockSlots];
  EXPECT_EQ(10, own_stock(last));
  int drained = 0;
  for (Account* account : accounts) {
    EXPECT_EQ(own_stock(*account), usage(*account));
    EXPECT_EQ(own_stock(*account), ledger_pages(*account));
    if (own_stock(*account) == 0) ++drained;
  }
  EXPECT_EQ(1, drained);
}

TEST_F(StockTest, VictimsTakeTurns) {
  Account* accounts[2 * kStockSlots];
  for (Account*& account : accounts) {
    account = &new_account();
    stock(*account, 10);
  }
  for (int i = 0; i < 2 * kStockSlots; ++i) {
    EXPECT_EQ(i < kStockSlots ? 0 : 10, own_stock(*accounts[i])) << i;
  }
}

TEST_F(StockTest, DrainOwnGivesEverythingBack) {
  Account& a = new_account();
  Account& b = new_account();
  stock(a, 10);
  stock(b, 20);
  drain_own_stock();
  EXPECT_EQ(0, usage(a));
  EXPECT_EQ(0, usage(b));
  EXPECT_EQ(0, ledger_pages(a));
  EXPECT_EQ(0, ledger_pages(b));
  EXPECT_EQ(10, stat_of(a, Stat::kUncharged));
}

TEST_F(StockTest, AWordOfNobodyIsDropped) {
  Account& a = new_account();
  account_charge(a, 3);
  // Out of a damaged segment: no such ledger, and one without an owner.
  thread_line()->slots[0].store(StockWord(kMostLedgers, 9).bits());
  thread_line()->slots[1].store(
      StockWord(g_segment.ledger_count() - 1, 9).bits());
  drain_own_stock();
  EXPECT_EQ(3, usage(a));
}

// Threads are counted where the process is, for the groups above it too.
class BatchTest : public StockTest {
 protected:
  static void set_threads(uint32_t group, uint32_t threads) {
    g_segment.group(group)->threads.store(threads);
  }
  static constexpr int64_t kAllowed = 16 * kMiB >> kPageShift;
};

TEST_F(BatchTest, IsFullWithoutALimit) {
  Account& a = new_account();
  set_threads(a.group, 10'000);
  EXPECT_EQ(kChargeBatch, batch_size(a));
}

TEST_F(BatchTest, ShrinksWithTheThreadsOfALimitedGroup) {
  Account& a = new_account(1000);
  struct Row {
    uint32_t threads;
    uint32_t batch;
  };
  // 4096 pages may lie in stocks; a thread has 7 slots.
  for (Row row : {Row{0, 32}, Row{1, 32}, Row{18, 32}, Row{19, 30}, Row{40, 14},
                  Row{585, 1}, Row{586, 0}, Row{100'000, 0}}) {
    set_threads(a.group, row.threads);
    EXPECT_EQ(row.batch, batch_size(a)) << row.threads;
  }
}

TEST_F(BatchTest, AllowsHalfAPercentOfALargeLimit) {
  Account& a = new_account(200 * 2 * kAllowed);
  set_threads(a.group, 40);
  EXPECT_EQ(2 * kAllowed / (40 * kStockSlots), batch_size(a));
}

TEST_F(BatchTest, TheTightestLimitAboveDecides) {
  uint32_t parent = new_group(1000);
  Account& a = new_account(kPageCounterMax, parent);
  set_threads(parent, 40);
  EXPECT_EQ(14u, batch_size(a));
  g_segment.group(a.group)->memory.store_max(1000);
  set_threads(a.group, 80);
  EXPECT_EQ(7u, batch_size(a));
}

TEST_F(BatchTest, AChargeWithoutABatchIsExact) {
  Account& a = new_account(1000);
  set_threads(a.group, 586);
  PageCounter* failed = nullptr;
  EXPECT_TRUE(try_charge(a, 3, &failed));
  EXPECT_EQ(3, usage(a));
  EXPECT_EQ(0, own_stock(a));
}

TEST_F(BatchTest, ALineCountsItsThreadUpToTheRoot) {
  uint32_t own = g_process_account.load()->group;
  release_line();
  uint32_t before = g_segment.group(own)->threads.load();
  uint32_t above = g_segment.group(kRootGroup)->threads.load();
  acquire_line();
  EXPECT_EQ(before + 1, g_segment.group(own)->threads.load());
  EXPECT_EQ(above + 1, g_segment.group(kRootGroup)->threads.load());
  release_line();
  EXPECT_EQ(before, g_segment.group(own)->threads.load());
  EXPECT_EQ(above, g_segment.group(kRootGroup)->threads.load());
}

}  // namespace
}  // namespace umemcg
