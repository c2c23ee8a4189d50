#include "accounting/stock_word.h"

#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <thread>
#include <vector>

#include "accounting/gate.h"
#include "accounting/process.h"
#include "accounting/recount.h"
#include "base/sys.h"
#include "tests/unit/accounting/fixture.h"
#include "tests/unit/accounting/tree_check.h"

namespace umemcg {
namespace {

using test::ThreadLine;

TEST(StockWordBits, HoldALedgerAndPages) {
  for (uint32_t ledger : {0u, 1u, 12345u, kMostLedgers - 1, kMostLedgers}) {
    for (uint32_t pages : {0u, 1u, 32u, kMostStockPages}) {
      const StockWord word(ledger, pages);
      EXPECT_EQ(word.ledger(), ledger);
      EXPECT_EQ(word.pages(), pages);
      EXPECT_EQ(word.given(), 0u);
      EXPECT_FALSE(word.empty());
      EXPECT_EQ(StockWord(word.bits()), word);
    }
  }
  EXPECT_TRUE(StockWord().empty());
  EXPECT_EQ(StockWord().ledger(), kNone);
}

TEST(StockWordBits, DrainingMovesPagesToGiven) {
  StockWord word(7, 20);
  word = word.drained();
  EXPECT_EQ(word.ledger(), 7u);
  EXPECT_EQ(word.pages(), 0u);
  EXPECT_EQ(word.given(), 20u);
  word = word.with_pages(5).drained();
  EXPECT_EQ(word.given(), 25u);
  EXPECT_EQ(word.ledger(), 7u);
}

// As a thread consumes: the pages are the low bits.
TEST(StockWordBits, ConsumingLeavesTheRest) {
  const StockWord word = StockWord(3, 9).drained().with_pages(4);
  const StockWord rest(word.bits() - 3);
  EXPECT_EQ(rest.pages(), 1u);
  EXPECT_EQ(rest.given(), 9u);
  EXPECT_EQ(rest.ledger(), 3u);
}

TEST(StockWordBits, GivenNeverOverflows) {
  const StockWord full = StockWord(1, kMostStockPages).drained();
  EXPECT_EQ(full.given(), kMostStockPages);
  const StockWord more = full.with_pages(1);
  EXPECT_EQ(more.drained(), more);
  EXPECT_EQ(full.drained(), full);
}

class StockWordTest : public test::OwnSegmentTest {
 protected:
  void SetUp() override {
    OwnSegmentTest::SetUp();
    ASSERT_EQ(attach_process(kRootGroup, "test"), 0);
    group_ = test::make_group(g_segment, "/a/b");
    account_ = account_of(group_);
    ASSERT_NE(account_, nullptr);
  }
  // As a refill does.
  StockWord charge_word(Account& account, uint32_t pages) {
    account_charge(account, pages);
    return StockWord(account.ledger_index, pages);
  }
  int64_t usage(uint32_t group) {
    return test::group_at(g_segment, group).memory.usage();
  }

  uint32_t group_ = kNone;
  Account* account_ = nullptr;
};

TEST_F(StockWordTest, NamesItsGroupByItsLedger) {
  const StockWord word(account_->ledger_index, 1);
  EXPECT_EQ(group_of_word(g_segment, word), group_);
  EXPECT_EQ(group_of_word(g_segment, StockWord()), kNone);
  EXPECT_EQ(group_of_word(g_segment, StockWord(g_segment.ledger_count(), 1)),
            kNone);
  Ledger& ledger = *account_->ledger;
  const uint64_t owner = ledger.owner.exchange(0);
  EXPECT_EQ(group_of_word(g_segment, word), kNone);
  ledger.owner = make_owner(0, g_segment.group_count());
  EXPECT_EQ(group_of_word(g_segment, word), kNone);
  ledger.owner = owner;
}

TEST_F(StockWordTest, WhatIsDrainedIsGivenAndUncharged) {
  ThreadLine line(0);
  line->slots[3] = charge_word(*account_, 12).bits();
  account_charge(*account_, 1);
  EXPECT_EQ(drain_word(g_segment, line->slots[3]), 12);
  EXPECT_EQ(usage(group_), 1);
  EXPECT_EQ(usage(kRootGroup), 1);
  // The ledger is its own process's to write.
  EXPECT_EQ(account_->ledger->pages, 13);
  EXPECT_EQ(account_pages(*account_), 1);
  EXPECT_EQ(StockWord(line->slots[3]).given(), 12u);
  EXPECT_EQ(drain_word(g_segment, line->slots[3]), 0);
  EXPECT_EQ(audit(g_segment), 0);
}

TEST_F(StockWordTest, WhatIsSettledLeavesTheLedger) {
  ThreadLine line(0);
  line->slots[0] = charge_word(*account_, 12).bits();
  drain_word(g_segment, line->slots[0]);
  // The owner has put more there since.
  account_charge(*account_, 5);
  line->slots[0] = StockWord(line->slots[0]).with_pages(5).bits();
  EXPECT_EQ(account_pages(*account_), 5);
  settle_word(g_segment, StockWord(line->slots[0].exchange(0)));
  EXPECT_EQ(account_->ledger->pages, 0);
  EXPECT_EQ(usage(kRootGroup), 0);
  settle_word(g_segment, StockWord());
  settle_word(g_segment, StockWord(account_->ledger_index, 0));
  EXPECT_EQ(audit(g_segment), 0);
}

TEST_F(StockWordTest, OnlyTheSubtreeIsDrained) {
  Account& beside = *account_of(test::make_group(g_segment, "/c"));
  ThreadLine line(1);
  line->slots[0] = charge_word(*account_, 3).bits();
  line->slots[6] = charge_word(beside, 4).bits();
  EXPECT_EQ(drain_all_stock(g_segment, beside.group), 4);
  EXPECT_EQ(drain_all_stock(g_segment, parent_group(g_segment, group_)), 3);
  EXPECT_EQ(drain_all_stock(g_segment, kRootGroup), 0);
  EXPECT_EQ(usage(kRootGroup), 0);
}

TEST_F(StockWordTest, ALineOfNobodyIsNotDrained) {
  ThreadLine line(0);
  line->slots[0] = charge_word(*account_, 3).bits();
  const uint32_t owner = line->owner.exchange(0);
  EXPECT_EQ(drain_all_stock(g_segment, kRootGroup), 0);
  line->owner = owner;
  EXPECT_EQ(drain_all_stock(g_segment, kRootGroup), 3);
}

TEST_F(StockWordTest, AReservationIsDrainedWhenItIsStale) {
  ThreadLine line(0);
  line->reservation_ms = sys::coarse_ms() + 1000;  // as fresh as can be
  line->reservation = charge_word(*account_, 3).bits();
  EXPECT_EQ(drain_all_stock(g_segment, kRootGroup), 0);
  line->reservation_ms = sys::coarse_ms() - 100;
  EXPECT_EQ(drain_all_stock(g_segment, group_), 3);
  EXPECT_EQ(StockWord(line->reservation).given(), 3u);
  EXPECT_EQ(account_pages(*account_), 0);
  EXPECT_EQ(usage(kRootGroup), 0);
}

// A thread that consumes and refills its words, as stock/ does, until a drainer
// has come in between often enough.
void use_words(Account& account, StockLine& line, uint32_t seed,
               const std::atomic<int64_t>& drained) {
  std::mt19937 random(seed);
  const uint64_t deadline = sys::monotonic_ns() + 10'000'000'000;
  for (int i = 0;
       i < 20'000 || (drained < 5000 && sys::monotonic_ns() < deadline); ++i) {
    std::atomic<uint64_t>& slot = line.slots[test::pick(random, kStockSlots)];
    const uint32_t wanted = 1 + test::pick(random, 8);
    uint64_t bits = slot.load();
    if (StockWord(bits).pages() >= wanted) {
      // Used, and freed at once.
      if (slot.compare_exchange_strong(bits, bits - wanted)) {
        account_uncharge(account, wanted);
      }
      continue;
    }
    ChargeSection section;
    account_charge(account, 32);
    const uint64_t word = StockWord(account.ledger_index, 32).bits();
    settle_word(g_segment, StockWord(slot.exchange(word)));
  }
}

// Nothing is lost between threads that use their stocks and others that drain
// them, and a recount beside them finds nothing wrong.
TEST_F(StockWordTest, NothingIsLostBetweenUsersAndDrainers) {
  std::atomic<int> users{0};
  std::atomic<int64_t> drained{0};
  std::vector<std::thread> threads;
  for (uint32_t i = 0; i < 3; ++i) {
    ++users;
    threads.emplace_back([&, i] {
      {
        ThreadLine line(i);
        use_words(*account_, *line, i, drained);
      }
      --users;
    });
  }
  for (uint32_t root : {kRootGroup, group_}) {
    threads.emplace_back([&, root] {
      while (users != 0) {
        drained += drain_all_stock(g_segment, root);
        sys::yield();
      }
    });
  }
  while (users != 0) EXPECT_LE(audit(g_segment), 0);
  for (std::thread& thread : threads) thread.join();
  EXPECT_GT(drained, 0);
  EXPECT_EQ(account_->ledger->pages, 0);
  EXPECT_EQ(usage(group_), 0);
  EXPECT_EQ(usage(kRootGroup), 0);
  EXPECT_EQ(audit(g_segment), 0);
}

}  // namespace
}  // namespace umemcg
