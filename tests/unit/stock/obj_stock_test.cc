// What is left of pages that were charged for objects: consumed, refilled,
// passed on between thread and account, and never above a page.

#include "stock/obj_stock.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/time.h>

#include <semaphore>
#include <thread>

#include "stock/stock.h"
#include "tests/unit/stock/world.h"
#include "tests/unit/support/child.h"

namespace umemcg {
namespace {

constexpr uint32_t kPage = kPageSize;

class ObjStockTest : public ::testing::Test {
 protected:
  void SetUp() override {
    start_world();
    reset_thread();
    acquire_line();
  }
  void TearDown() override { reset_thread(); }
};

uint32_t own_bytes(const Account& account, uint32_t part) {
  if (thread_line() == nullptr) return 0;
  const ObjectWord word(thread_line()->object.load());
  return word.is_of(account, part) ? word.bytes() : 0;
}

int64_t left(const Account& account, uint32_t part) {
  return account.remainder[part].load();
}

// An object of `bytes` has a page of its own, whose rest is kept.
void charge_page_for(Account& account, uint32_t part, uint32_t bytes) {
  account_charge(account, 1);
  count_object_pages(account, part, 1);
  if (part == kKmemPart) account_charge_kind(account, Kind::kKmem, 1);
  if (part == kSockPart) account_charge_kind(account, Kind::kSock, 1);
  refill_object(account, part, kPage - bytes);
}

TEST_F(ObjStockTest, AWordIsWhatItWasMadeOf) {
  Account& a = new_account();
  Account& b = new_account();
  for (uint32_t bytes : {1u, 17u, kPage - 1}) {
    for (uint32_t part : {kKmemPart, kSockPart, kPlainPart}) {
      const ObjectWord word(a, part, bytes);
      EXPECT_EQ(bytes, word.bytes());
      EXPECT_EQ(part, word.part());
      EXPECT_EQ(a.id, word.account());
      EXPECT_TRUE(word.is_of(a, part));
      EXPECT_FALSE(word.is_of(a, (part + 1) % 3));
      EXPECT_FALSE(word.is_of(b, part));
    }
  }
  EXPECT_TRUE(ObjectWord(a, kSockPart, 0).empty());
}

TEST_F(ObjStockTest, WhatIsKeptIsConsumedToTheLastByte) {
  Account& a = new_account();
  charge_page_for(a, kPlainPart, 100);
  EXPECT_EQ(kPage - 100, own_bytes(a, kPlainPart));
  EXPECT_TRUE(consume_object(a, kPlainPart, 1000));
  EXPECT_FALSE(consume_object(a, kPlainPart, kPage - 1099));
  EXPECT_TRUE(consume_object(a, kPlainPart, kPage - 1100));
  EXPECT_EQ(0u, thread_line()->object.load());
  EXPECT_FALSE(consume_object(a, kPlainPart, 1));
  EXPECT_EQ(1, usage(a));
}

TEST_F(ObjStockTest, ItServesItsAccountAndPartOnly) {
  Account& a = new_account();
  Account& b = new_account();
  charge_page_for(a, kKmemPart, 1);
  EXPECT_FALSE(consume_object(a, kSockPart, 1));
  EXPECT_FALSE(consume_object(a, kPlainPart, 1));
  EXPECT_FALSE(consume_object(b, kKmemPart, 1));
  EXPECT_TRUE(consume_object(a, kKmemPart, 1));
}

TEST_F(ObjStockTest, AWholePageGoesToThePageStock) {
  Account& a = new_account();
  charge_page_for(a, kKmemPart, 3000);
  refill_object(a, kKmemPart, 2999);
  EXPECT_EQ(kPage - 1, own_bytes(a, kKmemPart));
  EXPECT_EQ(0, own_stock(a));
  EXPECT_EQ(1, a.ledger->kmem.load());
  refill_object(a, kKmemPart, 1);
  EXPECT_EQ(0u, own_bytes(a, kKmemPart));
  EXPECT_EQ(1, own_stock(a));
  EXPECT_EQ(1, usage(a));
  EXPECT_EQ(0, a.ledger->kmem.load());
  EXPECT_EQ(0, g_segment.group(a.group)->kmem.usage());
}

TEST_F(ObjStockTest, AFullPageStockIsNotFilledFurther) {
  Account& a = new_account();
  account_charge(a, 40);
  count_object_pages(a, kPlainPart, 40);
  uncharge_object_pages(a, kPlainPart, 31);
  EXPECT_EQ(31, own_stock(a));
  uncharge_object_pages(a, kPlainPart, 2);
  EXPECT_EQ(31, own_stock(a));
  EXPECT_EQ(38, usage(a));
  uncharge_object_pages(a, kPlainPart, 1);
  EXPECT_EQ(32, own_stock(a));
}

TEST_F(ObjStockTest, TheStockStaysBelowTheBatchOfALimitedGroup) {
  constexpr int64_t kLimit = 8192;  // 32 MiB: 4,096 pages may be stranded
  Account& a = new_account(kLimit);
  g_segment.group(a.group)->threads.fetch_add(200);
  ASSERT_EQ(2u, batch_size(a));
  account_charge(a, 10);
  count_object_pages(a, kPlainPart, 10);
  for (int i = 0; i < 5; ++i) uncharge_object_pages(a, kPlainPart, 1);
  EXPECT_EQ(2, own_stock(a));
  EXPECT_EQ(7, usage(a));
  g_segment.group(a.group)->threads.fetch_sub(200);
}

TEST_F(ObjStockTest, TurningToAnotherAccountLeavesTheRestAndTakesItsRest) {
  Account& a = new_account();
  Account& b = new_account();
  charge_page_for(a, kPlainPart, 1000);
  charge_page_for(b, kPlainPart, 10);
  EXPECT_EQ(kPage - 1000, left(a, kPlainPart));
  EXPECT_EQ(kPage - 10, own_bytes(b, kPlainPart));
  refill_object(a, kPlainPart, 400);
  EXPECT_EQ(0, left(a, kPlainPart));
  EXPECT_EQ(kPage - 600, own_bytes(a, kPlainPart));
  EXPECT_EQ(kPage - 10, left(b, kPlainPart));
  // Another part of the same account is another remainder.
  charge_page_for(a, kSockPart, 1);
  EXPECT_EQ(kPage - 600, left(a, kPlainPart));
  EXPECT_EQ(0, left(a, kSockPart));
}

TEST_F(ObjStockTest, TakingOverMayMakeAPageWhole) {
  Account& a = new_account();
  Account& b = new_account();
  charge_page_for(a, kPlainPart, 1000);
  charge_page_for(b, kPlainPart, 1);
  refill_object(a, kPlainPart, 1001);
  EXPECT_EQ(1u, own_bytes(a, kPlainPart));
  EXPECT_EQ(0, left(a, kPlainPart));
  EXPECT_EQ(0, usage(a) - own_stock(a));
}

TEST_F(ObjStockTest, RemaindersOfThreadsAddUpAndWholePagesAreUncharged) {
  Account& a = new_account();
  for (int i = 0; i < 4; ++i) {
    std::thread([&] {
      acquire_line();
      charge_page_for(a, kSockPart, 3000);
      release_line();
    }).join();
  }
  // 4 pages for 12,000 bytes: one too many.
  EXPECT_EQ(3, usage(a));
  EXPECT_EQ(3, a.ledger->sock.load());
  EXPECT_EQ(3 * kPage - 12'000, left(a, kSockPart));
  EXPECT_TRUE(consume_remainder(a, kSockPart, 288));
  EXPECT_FALSE(consume_remainder(a, kSockPart, 1));
}

TEST_F(ObjStockTest, WithoutALineTheAccountKeepsTheRest) {
  Account& a = new_account();
  release_line();
  charge_page_for(a, kKmemPart, 4000);
  EXPECT_EQ(96, left(a, kKmemPart));
  EXPECT_FALSE(consume_object(a, kKmemPart, 1));
  EXPECT_TRUE(consume_remainder(a, kKmemPart, 90));
  refill_object(a, kKmemPart, 4090);
  EXPECT_EQ(0, left(a, kKmemPart));
  EXPECT_EQ(0, usage(a));
  EXPECT_EQ(0, a.ledger->kmem.load());
}

// A thread that has kept something, and sleeps.
class IdleThread {
 public:
  explicit IdleThread(Account& account)
      : thread_([this, &account] {
          acquire_line();
          charge_page_for(account, kPlainPart, 1000);
          ready_.release();
          end_.acquire();
          left_ = own_bytes(account, kPlainPart);
          release_line();
        }) {
    ready_.acquire();
  }
  ~IdleThread() {
    if (thread_.joinable()) end();
  }
  // What it still had.
  uint32_t end() {
    end_.release();
    thread_.join();
    return left_;
  }

 private:
  uint32_t left_ = 0;
  std::binary_semaphore ready_{0};
  std::binary_semaphore end_{0};
  std::thread thread_;
};

TEST_F(ObjStockTest, AnyThreadTakesWhatIdleOnesKeep) {
  uint32_t parent = new_group();
  Account& a = new_account(kPageCounterMax, parent);
  Account& beside = new_account();
  IdleThread first(a);
  IdleThread second(a);
  IdleThread other(beside);
  charge_page_for(a, kPlainPart, 1000);
  drain_objects(parent);
  // Three times 3,096 bytes: two pages and 1,096 bytes.
  EXPECT_EQ(1096, left(a, kPlainPart));
  EXPECT_EQ(1, usage(a));
  EXPECT_EQ(0, left(beside, kPlainPart));
  EXPECT_EQ(0u, first.end());
  EXPECT_EQ(0u, second.end());
  EXPECT_EQ(kPage - 1000, other.end());
}

TEST_F(ObjStockTest, OrOfOneAccountAlone) {
  uint32_t parent = new_group();
  Account& a = new_account(kPageCounterMax, parent);
  Account& below = new_account(kPageCounterMax, a.group);
  IdleThread first(a);
  IdleThread second(below);
  drain_objects_of(a);
  EXPECT_EQ(kPage - 1000, left(a, kPlainPart));
  EXPECT_EQ(0, left(below, kPlainPart));
}

TEST_F(ObjStockTest, AnInheritedAccountsRestIsDropped) {
  Account& a = new_account();
  Account& b = new_account();
  charge_page_for(a, kPlainPart, 100);
  a.inherited.store(true);
  charge_page_for(b, kPlainPart, 100);
  EXPECT_EQ(0, left(a, kPlainPart));
  a.inherited.store(false);
  EXPECT_EQ(kPage - 100, own_bytes(b, kPlainPart));
}

// Words that no account wrote: a damaged segment.
TEST_F(ObjStockTest, AWordOfNobodyIsDropped) {
  Account& a = new_account();
  const uint64_t good = ObjectWord(a, kPlainPart, 100).bits();
  const uint64_t bad[] = {UINT64_MAX, good | uint64_t{3} << kPageShift,
                          good ^ uint64_t{1} << 40, good ^ uint64_t{1} << 26,
                          good ^ uint64_t{1} << 14};
  for (uint64_t word : bad) {
    thread_line()->object.store(word);
    drain_objects(kRootGroup);
    drain_object_word(*thread_line());
    EXPECT_EQ(0u, thread_line()->object.load());
    thread_line()->object.store(word);
    charge_page_for(a, kPlainPart, 1);
    EXPECT_EQ(kPage - 1, own_bytes(a, kPlainPart)) << std::hex << word;
    EXPECT_TRUE(consume_object(a, kPlainPart, kPage - 1));
    for (int64_t bytes : {left(a, 0), left(a, 1), left(a, 2)}) {
      EXPECT_EQ(0, bytes) << std::hex << word;
    }
  }
}

TEST_F(ObjStockTest, AForkedChildKeepsWhatTheOtherThreadsHad) {
  Account& a = new_account();
  std::thread([&] {
    acquire_line();
    charge_page_for(a, kPlainPart, 1000);
    set_thread_line(nullptr);  // this thread does not exist in the child
  }).join();
  release_other_lines();
  EXPECT_EQ(kPage - 1000, left(a, kPlainPart));
  EXPECT_EQ(1, usage(a));
}

TEST_F(ObjStockTest, ANewLineKeepsNothing) {
  Account& a = new_account();
  StockLine* line = thread_line();
  release_line();
  line->object.store(ObjectWord(a, kPlainPart, 100).bits());
  acquire_line();
  EXPECT_EQ(0u, thread_line()->object.load());
}

TEST_F(ObjStockTest, MoreThanWasChargedIsSaidOnceAndIgnored) {
  Account& a = new_account();
  test::ChildOutcome outcome = test::run_child([&] {
    charge_page_for(a, kKmemPart, 0);  // a whole page of rest: goes back
    EXPECT_EQ(1, own_stock(a));
    for (uint32_t part : {kKmemPart, kSockPart, kPlainPart}) {
      uncharge_object_pages(a, part, 1000);
      uncharge_object_pages(a, part, 1000);
    }
    EXPECT_EQ(1, usage(a));
    EXPECT_EQ(1, ledger_pages(a));
    EXPECT_EQ(0, a.ledger->kmem.load());
    EXPECT_EQ(0, a.ledger->sock.load());
    drain_own_stock();
    EXPECT_EQ(0, usage(a));
  });
  EXPECT_EQ(0, outcome.code) << outcome.error_text;
  const std::string& text = outcome.error_text;
  const size_t said = text.find("uncharged than charged");
  ASSERT_NE(std::string::npos, said) << text;
  EXPECT_EQ(std::string::npos, text.find("uncharged than charged", said + 1))
      << text;
}

// A handler that consumes and refills on the same thread, as fast as the timer
// goes.
constinit Account* handler_accounts[2] = {};
constinit std::atomic<int64_t> handler_bytes{0};
constinit std::atomic<int64_t> handler_runs{0};

// What it consumes it gives back the next time, so the bytes are known.
void use_in_handler(int) {
  static uint32_t held = 0;
  Account& account = *handler_accounts[handler_runs.load() / 4 % 2];
  if (held != 0) {
    refill_object(*handler_accounts[0], kPlainPart, held);
    handler_bytes.fetch_sub(held);
    held = 0;
  } else if (consume_object(*handler_accounts[0], kPlainPart, 700) ||
             consume_remainder(*handler_accounts[0], kPlainPart, 700)) {
    held = 700;
    handler_bytes.fetch_add(held);
  }
  // And turns the thread to another account now and then.
  if (&account != handler_accounts[0]) charge_page_for(account, kPlainPart, 10);
  handler_runs.fetch_add(1);
}

TEST_F(ObjStockTest, NoByteIsLostOrMadeInAHandler) {
  Account& a = new_account();
  Account& b = new_account();
  handler_accounts[0] = &a;
  handler_accounts[1] = &b;
  struct sigaction action = {};
  struct sigaction before;
  action.sa_handler = use_in_handler;
  action.sa_flags = SA_RESTART;
  ASSERT_EQ(0, sigaction(SIGALRM, &action, &before));
  const itimerval every = {{0, 20}, {0, 20}};
  ASSERT_EQ(0, setitimer(ITIMER_REAL, &every, nullptr));
  int64_t held = 0;
  for (uint32_t i = 0; handler_runs.load() < 3000; ++i) {
    const uint32_t bytes = 1 + i * 37 % 3000;
    if (consume_object(a, kPlainPart, bytes)) {
      held += bytes;
    } else {
      charge_page_for(a, kPlainPart, bytes);
      held += bytes;
    }
    if (held > 100'000) {
      refill_object(a, kPlainPart, 4000);
      held -= 4000;
    }
  }
  const itimerval never = {};
  ASSERT_EQ(0, setitimer(ITIMER_REAL, &never, nullptr));
  sigaction(SIGALRM, &before, nullptr);
  release_line();
  held += handler_bytes.load();
  EXPECT_EQ(held, usage(a) * int64_t{kPage} - left(a, kPlainPart));
  EXPECT_LT(left(a, kPlainPart), kPage);
  EXPECT_EQ(usage(a), ledger_pages(a));
  EXPECT_EQ(usage(b), ledger_pages(b));
}

}  // namespace
}  // namespace umemcg
