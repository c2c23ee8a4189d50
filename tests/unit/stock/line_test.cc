// The lines that hold the stocks: taken, given back, all in use, and a signal
// handler in the middle of it.

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/time.h>

#include <thread>
#include <vector>

#include "accounting/stat_line.h"
#include "stock/charge.h"
#include "stock/stock.h"
#include "tests/unit/stock/world.h"

namespace umemcg {
namespace {

class LineTest : public ::testing::Test {
 protected:
  void SetUp() override {
    start_world();
    reset_thread();
  }
  void TearDown() override { reset_thread(); }
};

uint32_t lines_owned() {
  uint32_t owned = 0;
  for (uint32_t i = 0; i < g_segment.lines_used(); ++i) {
    if (g_segment.line(i)->owner.load() != 0) ++owned;
  }
  return owned;
}

bool charge_one(Account& account) {
  PageCounter* failed = nullptr;
  return try_charge(account, 1, &failed);
}

// Takes every free line out of the table in its scope.
class NoFreeLine {
 public:
  NoFreeLine() {
    for (uint32_t i = 0; i < g_segment.line_count(); ++i) {
      uint32_t none = 0;
      if (g_segment.line(i)->owner.compare_exchange_strong(none, 99)) {
        taken_.push_back(g_segment.line(i));
      }
    }
  }
  ~NoFreeLine() {
    for (StockLine* line : taken_) line->owner.store(0);
  }
  NoFreeLine(const NoFreeLine&) = delete;
  NoFreeLine& operator=(const NoFreeLine&) = delete;

 private:
  std::vector<StockLine*> taken_;
};

TEST_F(LineTest, TheFirstChargeTakesALine) {
  Account& a = new_account();
  EXPECT_EQ(nullptr, thread_line());
  EXPECT_TRUE(charge_one(a));
  ASSERT_NE(nullptr, thread_line());
  EXPECT_EQ(1u, thread_line()->owner.load());
  EXPECT_EQ(1u, lines_owned());
}

TEST_F(LineTest, ReleaseGivesBackStockReservationAndCounts) {
  Account& a = new_account();
  EXPECT_TRUE(charge_one(a));
  account_charge(a, 5);
  reserve_pages(a, 5);
  StockLine* line = thread_line();
  EXPECT_EQ(37, usage(a));
  release_line();
  EXPECT_EQ(nullptr, thread_line());
  EXPECT_EQ(1, usage(a));
  EXPECT_EQ(1, ledger_pages(a));
  EXPECT_EQ(0u, line->owner.load());
  EXPECT_EQ(0u, line->reservation.load());
  EXPECT_EQ(0u, line->stat_ledger.load());
  EXPECT_EQ(37, stat_of(a, Stat::kCharged));
  EXPECT_EQ(36, stat_of(a, Stat::kUncharged));
}

TEST_F(LineTest, ReleaseTwiceIsOnce) {
  acquire_line();
  release_line();
  release_line();
  EXPECT_EQ(0u, lines_owned());
}

TEST_F(LineTest, WithoutAFreeLineChargesAreExact) {
  Account& a = new_account();
  {
    NoFreeLine none;
    EXPECT_TRUE(charge_one(a));
    EXPECT_EQ(nullptr, thread_line());
    EXPECT_EQ(1, usage(a));
    EXPECT_EQ(1, ledger_pages(a));
    EXPECT_EQ(1, stat_of(a, Stat::kCharged));
  }
  EXPECT_TRUE(charge_one(a));  // there is one again
  EXPECT_NE(nullptr, thread_line());
  EXPECT_EQ(1 + 32, usage(a));
}

TEST_F(LineTest, AReservationSurvivesTakingALine) {
  Account& a = new_account();
  {
    NoFreeLine none;
    account_charge(a, 7);
    reserve_pages(a, 7);
  }
  acquire_line();
  // Kept or given back, but not out of reach.
  EXPECT_EQ(take_reservation(a, 7), usage(a));
  release_line();
}

TEST_F(LineTest, AReservationWithoutALineGoesBackAtTheEnd) {
  Account& a = new_account();
  NoFreeLine none;
  std::thread([&] {
    account_charge(a, 7);
    reserve_pages(a, 7);
    release_line();
  }).join();
  EXPECT_EQ(0, usage(a));
}

TEST_F(LineTest, AThreadThatEndsGivesItsStockBack) {
  Account& a = new_account();
  std::thread([&] {
    EXPECT_TRUE(charge_one(a));
    EXPECT_EQ(32, usage(a));
    release_line();  // what shim's key destructor does
  }).join();
  EXPECT_EQ(1, usage(a));
  EXPECT_EQ(0u, lines_owned());
}

TEST_F(LineTest, AnEndingThreadTakesNoLine) {
  Account& a = new_account();
  t_context.exiting = true;
  EXPECT_TRUE(charge_one(a));
  EXPECT_EQ(nullptr, thread_line());
  EXPECT_EQ(1, usage(a));
}

TEST_F(LineTest, LinesAreUsedAgain) {
  for (uint32_t i = 0; i < 3 * g_segment.line_count(); ++i) {
    acquire_line();
    ASSERT_NE(nullptr, thread_line());
    release_line();
  }
  EXPECT_LE(g_segment.lines_used(), g_segment.line_count());
}

TEST_F(LineTest, AForkedChildGivesBackTheOthersLines) {
  Account& a = new_account();
  std::thread([&] {
    EXPECT_TRUE(charge_one(a));
    set_thread_line(nullptr);  // this thread does not exist in the child
  }).join();
  EXPECT_TRUE(charge_one(a));
  EXPECT_EQ(2u, lines_owned());
  EXPECT_EQ(64, usage(a));
  release_other_lines();
  EXPECT_EQ(1u, lines_owned());
  EXPECT_EQ(33, usage(a));
  EXPECT_EQ(31, own_stock(a));
}

// A handler that charges on the same thread, as fast as the timer goes.
constinit Account* handler_account = nullptr;
constinit std::atomic<int64_t> handler_charged{0};
constinit std::atomic<int64_t> handler_runs{0};

void charge_in_handler(int) {
  PageCounter* failed = nullptr;
  for (uint32_t pages : {1u, 3u, 40u}) {
    if (try_charge(*handler_account, pages, &failed)) {
      handler_charged.fetch_add(pages);
    }
  }
  handler_runs.fetch_add(1);
}

class HandlerTest : public LineTest {
 protected:
  void SetUp() override {
    LineTest::SetUp();
    handler_charged.store(0);
    handler_runs.store(0);
    struct sigaction action = {};
    action.sa_handler = charge_in_handler;
    action.sa_flags = SA_RESTART;
    ASSERT_EQ(0, sigaction(SIGALRM, &action, &before_));
  }
  void TearDown() override {
    run_timer(0);
    sigaction(SIGALRM, &before_, nullptr);
    LineTest::TearDown();
  }
  static void run_timer(long microseconds) {
    itimerval every = {{0, microseconds}, {0, microseconds}};
    ASSERT_EQ(0, setitimer(ITIMER_REAL, &every, nullptr));
  }

  struct sigaction before_;
};

constexpr int64_t kRuns = 3000;

TEST_F(HandlerTest, NoPageIsLostOrMadeInTheStock) {
  Account& a = new_account();
  Account& b = new_account();
  handler_account = &a;
  int64_t charged_a = 0;
  int64_t charged_b = 0;
  run_timer(20);
  for (uint32_t i = 0; handler_runs.load() < kRuns; ++i) {
    PageCounter* failed = nullptr;
    const uint32_t pages = 1 + i % 20;
    if (try_charge(a, pages, &failed)) charged_a += pages;
    if (i % 3 == 0 && try_charge(b, pages, &failed)) charged_b += pages;
    if (i % 64 == 0) drain_own_stock();
  }
  run_timer(0);
  EXPECT_EQ(charged_a + handler_charged.load() + own_stock(a), usage(a));
  EXPECT_EQ(charged_b + own_stock(b), usage(b));
  EXPECT_EQ(usage(a), ledger_pages(a));
  EXPECT_EQ(usage(b), ledger_pages(b));
}

TEST_F(HandlerTest, NoLineIsLostWhileOneIsTaken) {
  Account& a = new_account();
  handler_account = &a;
  int64_t charged = 0;
  run_timer(20);
  while (handler_runs.load() < kRuns) {
    PageCounter* failed = nullptr;
    release_line();
    if (try_charge(a, 2, &failed)) charged += 2;
  }
  run_timer(0);
  EXPECT_LE(lines_owned(), 1u);
  release_line();
  EXPECT_EQ(0u, lines_owned());
  EXPECT_EQ(charged + handler_charged.load(), usage(a));
}

}  // namespace
}  // namespace umemcg
