// Draining every thread's stock from one, and reservations.

#include <gtest/gtest.h>

#include <semaphore>
#include <thread>

#include "accounting/stat_line.h"
#include "base/sys.h"
#include "stock/charge.h"
#include "stock/stock.h"
#include "tests/unit/stock/world.h"

namespace umemcg {
namespace {

class DrainTest : public ::testing::Test {
 protected:
  void SetUp() override {
    start_world();
    reset_thread();
    acquire_line();
  }
  void TearDown() override { reset_thread(); }
};

// A thread that has charged ahead for an account, and sleeps.
class IdleThread {
 public:
  explicit IdleThread(Account& account)
      : thread_([this, &account] {
          PageCounter* failed = nullptr;
          EXPECT_TRUE(try_charge(account, 1, &failed));
          ready_.release();
          end_.acquire();
          release_line();
        }) {
    ready_.acquire();
  }
  ~IdleThread() {
    end_.release();
    thread_.join();
  }

 private:
  std::binary_semaphore ready_{0};
  std::binary_semaphore end_{0};
  std::thread thread_;
};

void reserve(Account& account, uint32_t pages) {
  account_charge(account, pages);
  reserve_pages(account, pages);
}

// As if the reservation had been made so long ago.
void age_reservation(uint64_t ms) {
  thread_line()->reservation_ms.store(sys::coarse_ms() - ms);
}

TEST_F(DrainTest, TakesTheStockOfAllThreads) {
  Account& a = new_account();
  IdleThread first(a);
  IdleThread second(a);
  PageCounter* failed = nullptr;
  ASSERT_TRUE(try_charge(a, 1, &failed));
  EXPECT_EQ(96, usage(a));
  EXPECT_EQ(93, drain_all_stock(g_segment, a.group));
  EXPECT_EQ(3, usage(a));
  EXPECT_EQ(3, ledger_pages(a));
  EXPECT_EQ(0, drain_all_stock(g_segment, a.group));
}

TEST_F(DrainTest, TakesTheSubtreeOnly) {
  uint32_t parent = new_group();
  Account& inside = new_account(kPageCounterMax, parent);
  Account& beside = new_account();
  IdleThread first(inside);
  IdleThread second(beside);
  EXPECT_EQ(31, drain_all_stock(g_segment, parent));
  EXPECT_EQ(1, usage(inside));
  EXPECT_EQ(32, usage(beside));
  EXPECT_EQ(31, drain_all_stock(g_segment, kRootGroup));
  EXPECT_EQ(1, usage(beside));
}

TEST_F(DrainTest, LeavesAnotherThreadsReservationWhileItIsFresh) {
  Account& a = new_account();
  reserve(a, 9);
  StockLine* line = thread_line();
  std::thread([&] {
    // However late this thread gets to run.
    line->reservation_ms.store(sys::coarse_ms());
    EXPECT_EQ(0, drain_all_stock(g_segment, a.group));
  }).join();
  EXPECT_EQ(9u, take_reservation(a, 9));
}

// The drain has read the clock before the reservation was made.
TEST_F(DrainTest, AReservationFromTheFutureIsFresh) {
  Account& a = new_account();
  reserve(a, 9);
  thread_line()->reservation_ms.store(sys::coarse_ms() + 5);
  EXPECT_EQ(0, drain_all_stock(g_segment, a.group));
  EXPECT_EQ(9u, take_reservation(a, 9));
}

TEST_F(DrainTest, TakesAStaleReservation) {
  Account& a = new_account();
  reserve(a, 9);
  age_reservation(5);
  EXPECT_EQ(0, drain_all_stock(g_segment, a.group));
  age_reservation(50);
  EXPECT_EQ(9, drain_all_stock(g_segment, a.group));
  EXPECT_EQ(0u, take_reservation(a, 9));
  EXPECT_EQ(0, usage(a));
}

TEST_F(DrainTest, AStaleReservationOfAnotherSubtreeStays) {
  Account& a = new_account();
  Account& b = new_account();
  reserve(a, 9);
  age_reservation(50);
  EXPECT_EQ(0, drain_all_stock(g_segment, b.group));
  EXPECT_EQ(9u, take_reservation(a, 9));
}

TEST_F(DrainTest, AReservationIsTakenInPartAndTheRestGoesBack) {
  Account& a = new_account();
  reserve(a, 9);
  EXPECT_EQ(4u, take_reservation(a, 4));
  EXPECT_EQ(4, usage(a));
  EXPECT_EQ(0u, take_reservation(a, 4));
}

TEST_F(DrainTest, AReservationGivesNoMoreThanItHas) {
  Account& a = new_account();
  reserve(a, 3);
  EXPECT_EQ(3u, take_reservation(a, 10));
  EXPECT_EQ(3, usage(a));
}

TEST_F(DrainTest, AReservationOfAnotherAccountGoesBack) {
  Account& a = new_account();
  Account& b = new_account();
  reserve(a, 9);
  EXPECT_EQ(0u, take_reservation(b, 9));
  EXPECT_EQ(0, usage(a));
  EXPECT_EQ(0, usage(b));
}

TEST_F(DrainTest, ASecondReservationReplacesTheFirst) {
  Account& a = new_account();
  reserve(a, 9);
  reserve(a, 4);
  EXPECT_EQ(4, usage(a));
  drop_reservation();
  EXPECT_EQ(0, usage(a));
}

TEST_F(DrainTest, StockPagesAreSeenInTheSubtree) {
  uint32_t parent = new_group();
  Account& a = new_account(kPageCounterMax, parent);
  IdleThread thread(a);
  EXPECT_EQ(31, stock_pages(g_segment, parent));
  EXPECT_EQ(31, all_stock(a));
  reserve(a, 9);
  EXPECT_EQ(40, stock_pages(g_segment, parent));
}

// Consumers and drainers share nothing but the words.
TEST_F(DrainTest, DrainsRaceWithConsumers) {
  constexpr int kThreads = 3;
  constexpr int64_t kEnough = 20'000;
  Account& a = new_account();
  std::atomic<bool> stop{false};
  std::atomic<int64_t> held{0};
  std::thread threads[kThreads];
  for (std::thread& thread : threads) {
    thread = std::thread([&] {
      for (uint32_t i = 0; !stop.load(); ++i) {
        PageCounter* failed = nullptr;
        const uint32_t pages = 1 + i % 5;
        EXPECT_TRUE(try_charge(a, pages, &failed));
        held.fetch_add(pages);
        if (i % 2 == 0) {
          account_uncharge(a, pages);
          held.fetch_sub(pages);
        }
      }
      release_line();
    });
  }
  int64_t drained = 0;
  while (drained < kEnough) drained += drain_all_stock(g_segment, a.group);
  stop.store(true);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(held.load(), usage(a));
  EXPECT_EQ(held.load(), ledger_pages(a));
  EXPECT_EQ(0, all_stock(a));
}

}  // namespace
}  // namespace umemcg
