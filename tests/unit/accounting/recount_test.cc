#include "accounting/recount.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "accounting/gate.h"
#include "accounting/process.h"
#include "accounting/tree_change.h"
#include "base/sys.h"
#include "tests/unit/accounting/fixture.h"
#include "tests/unit/accounting/tree_check.h"
#include "tests/unit/support/child.h"

namespace umemcg {
namespace {

using test::Child;
using test::ThreadLine;

RecountResult recount_now() {
  TreeChange change(g_segment);
  EXPECT_TRUE(change.held());
  return recount(g_segment);
}

class RecountTest : public test::OwnSegmentTest {
 protected:
  void SetUp() override {
    OwnSegmentTest::SetUp();
    group_ = test::make_group(g_segment, "/a/b");
    above_ = parent_group(g_segment, group_);
    ASSERT_EQ(attach_process(group_, "test"), 0);
    account_ = account_of(group_);
    ASSERT_NE(account_, nullptr);
  }
  Group& row(uint32_t group) { return test::group_at(g_segment, group); }
  int64_t usage(uint32_t group) { return row(group).memory.usage(); }

  uint32_t group_ = kNone, above_ = kNone;
  Account* account_ = nullptr;
};

TEST_F(RecountTest, FindsNothingWrongWhereNothingIs) {
  account_charge(*account_, 10);
  const RecountResult result = recount_now();
  EXPECT_TRUE(result.done);
  EXPECT_EQ(result.groups, 0);
  EXPECT_EQ(result.pages, 0);
  EXPECT_GT(result.closed_ns, 0u);
  EXPECT_EQ(usage(group_), 10);
  EXPECT_EQ(g_segment.header().recounts, 1u);
  EXPECT_EQ(g_segment.header().recount_due, 0u);
  EXPECT_EQ(audit(g_segment), 0);
}

// As a charger leaves it that is killed after two of three levels, and one that
// is killed after the uncharge of its ledger.
TEST_F(RecountTest, UsageIsWhatTheLedgersSay) {
  account_charge(*account_, 10);
  row(group_).memory.correct(4, 0, 0);
  row(above_).memory.correct(4, 0, 0);
  row(kRootGroup).memory.correct(-3, 0, 0);
  EXPECT_EQ(audit(g_segment), 3);
  const RecountResult result = recount_now();
  EXPECT_TRUE(result.done);
  EXPECT_EQ(result.groups, 3);
  EXPECT_EQ(result.pages, 3);  // root's drift
  EXPECT_EQ(g_segment.header().pages_corrected, 3u);
  for (uint32_t group : {group_, above_, kRootGroup}) {
    EXPECT_EQ(usage(group), 10) << group;
  }
  EXPECT_EQ(audit(g_segment), 0);
}

// Killed between pages and their count, whichever came first; in the thread's
// line, in the ledger, and in what has ended.
TEST_F(RecountTest, ChargedLessUnchargedIsWhatIsThere) {
  auto count = [&](Stat stat) {
    int64_t stats[kStats];
    read_stats(g_segment, group_, false, stats);
    return stats[static_cast<int>(stat)];
  };
  account_charge(*account_, 10);
  account_uncharge(*account_, 4);
  ASSERT_EQ(count(Stat::kCharged), 10);
  ASSERT_EQ(count(Stat::kUncharged), 4);
  ASSERT_TRUE(recount_now().done);
  EXPECT_EQ(count(Stat::kCharged), 10);
  EXPECT_EQ(count(Stat::kUncharged), 4);
  account_->ledger->pages += 5;
  ASSERT_TRUE(recount_now().done);
  EXPECT_EQ(count(Stat::kCharged), 15);
  EXPECT_EQ(count(Stat::kUncharged), 4);
  account_->ledger->stat[static_cast<int>(Stat::kCharged)] += 7;
  row(group_).stat[static_cast<int>(Stat::kUncharged)] += 1;
  ASSERT_TRUE(recount_now().done);
  EXPECT_EQ(count(Stat::kCharged), 22);
  EXPECT_EQ(count(Stat::kUncharged), 11);
  EXPECT_EQ(usage(group_), 11);
}

TEST_F(RecountTest, WatermarkAndFailuresSurvive) {
  account_charge(*account_, 10);
  account_uncharge(*account_, 6);
  row(group_).memory.count_failure();
  row(group_).memory.correct(100, 0, 0);
  ASSERT_TRUE(recount_now().done);
  EXPECT_EQ(usage(group_), 4);
  EXPECT_EQ(row(group_).memory.watermark(), 10);
  EXPECT_EQ(row(group_).memory.failcnt(), 1u);
}

TEST_F(RecountTest, KindsHaveTheirOwn) {
  account_charge(*account_, 10);
  account_charge_kind(*account_, Kind::kKmem, 6);
  account_charge_kind(*account_, Kind::kSock, 4);
  row(above_).kmem.correct(1, 0, 0);
  row(kRootGroup).sock.correct(-1, 0, 0);
  EXPECT_EQ(audit(g_segment), 2);
  EXPECT_EQ(recount_now().groups, 2);
  for (uint32_t group : {group_, above_, kRootGroup}) {
    EXPECT_EQ(row(group).kmem.usage(), 6) << group;
    EXPECT_EQ(row(group).sock.usage(), 4) << group;
  }
}

TEST_F(RecountTest, ProtectedUsageFollows) {
  row(group_).memory.set_min(8);
  row(group_).memory.set_low(20);
  account_charge(*account_, 10);
  ASSERT_EQ(row(above_).memory.children_min_usage(), 8);
  ASSERT_EQ(row(above_).memory.children_low_usage(), 10);
  // The sums lost what a killed charger had in its hands, the usage too.
  row(above_).memory.correct(0, -3, +5);
  row(group_).memory.correct(-7, 0, 0);
  ASSERT_TRUE(recount_now().done);
  EXPECT_EQ(usage(group_), 10);
  EXPECT_EQ(row(group_).memory.min_usage(), 8);
  EXPECT_EQ(row(group_).memory.low_usage(), 10);
  EXPECT_EQ(row(above_).memory.children_min_usage(), 8);
  EXPECT_EQ(row(above_).memory.children_low_usage(), 10);
}

TEST_F(RecountTest, CountsAreThoseOfTheTables) {
  account_->ledger->threads = 2;
  add_to_ancestors(g_segment, group_, &Group::threads, 2);
  ASSERT_EQ(test::tree_faults(g_segment), "");
  row(group_).threads += 5;
  row(above_).threads -= 1;
  row(group_).ledgers += 1;
  row(kRootGroup).processes += 3;
  ASSERT_NE(test::tree_faults(g_segment), "");
  ASSERT_TRUE(recount_now().done);
  EXPECT_EQ(test::tree_faults(g_segment), "");
}

TEST_F(RecountTest, WhatWasDrainedIsNotTheProcesss) {
  ThreadLine line(0);
  account_charge(*account_, 12);
  line->slots[2] = StockWord(account_->ledger_index, 7).bits();
  line->reservation = StockWord(account_->ledger_index, 5).bits();
  drain_word(g_segment, line->slots[2]);
  drain_word(g_segment, line->reservation);
  ASSERT_EQ(usage(group_), 0);
  EXPECT_EQ(recount_now().groups, 0);
  row(group_).memory.correct(7, 0, 0);  // the drainer was killed
  EXPECT_EQ(recount_now().groups, 1);
  EXPECT_EQ(usage(group_), 0);
}

TEST_F(RecountTest, AChargerThatStaysMakesItVoid) {
  account_charge(*account_, 10);
  {
    ChargeSection section;
    account_->counter.load()->charge(5);
    EXPECT_FALSE(recount_now().done);
    EXPECT_EQ(g_segment.header().recount_due, 1u);
    EXPECT_EQ(g_segment.header().recounts_voided, 1u);
    EXPECT_EQ(audit(g_segment), -1);
    account_->ledger->pages += 5;
  }
  // Whoever changes the tree does it, after a pause.
  EXPECT_TRUE(test::wait_until([] {
    TreeChange change(g_segment);
    return g_segment.header().recount_due == 0;
  }));
  EXPECT_EQ(usage(group_), 15);
  EXPECT_EQ(audit(g_segment), 0);
}

// Chargers at work while it is done again and again: it never finds anything.
TEST_F(RecountTest, ChangesNoRightCounter) {
  constexpr int kThreads = 3;
  row(above_).memory.set_min(1000);
  row(group_).memory.set_low(50);
  ASSERT_EQ(row(above_).memory.set_max(200), 0);
  std::vector<Account*> accounts = {account_, account_of(above_),
                                    account_of(kRootGroup)};
  std::atomic<int> running{kThreads};
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      {
        ThreadLine line(static_cast<uint32_t>(i));
        std::mt19937 random(static_cast<uint32_t>(i));
        for (int n = 0; n < 30'000; ++n) {
          Account& account = *accounts[test::pick(random, 3)];
          const int64_t pages = 1 + test::pick(random, 90);
          PageCounter* failed;
          if (!account_try_charge(account, pages, &failed)) continue;
          if (pages % 3 == 0) {
            account_charge_kind(account, Kind::kKmem, pages);
            account_uncharge_kind(account, Kind::kKmem, pages);
          }
          account_uncharge(account, pages);
        }
      }
      --running;
    });
  }
  int done = 0;
  while (running != 0) {
    const RecountResult result = recount_now();
    EXPECT_EQ(result.groups, 0);
    done += result.done;
    std::this_thread::yield();
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_GT(done, 0);
  EXPECT_EQ(g_segment.header().pages_corrected, 0u);
  EXPECT_EQ(test::audit_in_time(g_segment), 0);
  for (uint32_t group : {group_, above_, kRootGroup}) {
    EXPECT_EQ(usage(group), 0) << group;
    EXPECT_EQ(row(group).kmem.usage(), 0) << group;
    EXPECT_EQ(row(group).memory.children_min_usage(), 0) << group;
    EXPECT_EQ(row(group).memory.children_low_usage(), 0) << group;
  }
}

class RecountOfADomain : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(g_segment.create_file(scratch_.file("d").c_str(), test::kSmall),
              0);
    group_ = test::make_group(g_segment, "/a/b");
  }
  void TearDown() override { g_segment.detach(); }
  // A process that charges 10 pages and dies in the middle of `change`.
  void die_in(const std::function<void(Account&)>& change) {
    Child child([&] {
      ASSERT_EQ(attach_process(group_, "child"), 0);
      Account& account = *account_of(group_);
      account_charge(account, 10);
      ThreadLine line(0);
      ChargeSection section;
      change(account);
      ::kill(::getpid(), SIGKILL);
    });
    EXPECT_EQ(child.wait(), 256 + SIGKILL);
  }
  void expect_nothing_left() {
    for (uint32_t g = group_; g != kNone; g = parent_group(g_segment, g)) {
      EXPECT_EQ(test::group_at(g_segment, g).memory.usage(), 0) << g;
    }
    EXPECT_EQ(audit(g_segment), 0);
    EXPECT_EQ(test::tree_faults(g_segment), "");
  }

  test::ScratchDirectory scratch_;
  uint32_t group_ = kNone;
};

TEST_F(RecountOfADomain, WhoDiesBetweenCounterAndLedgerLeavesNothing) {
  die_in([](Account& account) { account.counter.load()->charge(7); });
  EXPECT_EQ(test::group_at(g_segment, group_).memory.usage(), 17);
  EXPECT_EQ(reap_dead_processes(g_segment), 1u);
  expect_nothing_left();
  EXPECT_EQ(g_segment.header().recounts, 1u);
}

TEST_F(RecountOfADomain, WhoDiesBetweenLedgerAndCounterLeavesNothing) {
  die_in([](Account& account) { account.ledger->pages -= 10; });
  EXPECT_EQ(reap_dead_processes(g_segment), 1u);
  expect_nothing_left();
}

// The drainer is dead, the process that was drained lives.
TEST_F(RecountOfADomain, WhoDiesWithADrainedWordTakesNothingAlong) {
  test::Shared<std::atomic<int>> step;
  Child owner([&] {
    ASSERT_EQ(attach_process(group_, "owner"), 0);
    Account& account = *account_of(group_);
    ThreadLine line(1);
    account_charge(account, 9);
    line->slots[0] = StockWord(account.ledger_index, 6).bits();
    *step = 1;
    ASSERT_TRUE(test::wait_until([&] { return *step == 2; }));
    // What was given is taken off its ledger, as always.
    settle_word(g_segment, StockWord(line->slots[0].exchange(0)));
    EXPECT_EQ(account.ledger->pages, 3);
    EXPECT_EQ(test::group_at(g_segment, group_).memory.usage(), 3);
    account_uncharge(account, 3);
  });
  ASSERT_TRUE(test::wait_until([&] { return *step == 1; }));
  die_in([](Account&) {
    std::atomic<uint64_t>& slot = test::line_at(1).slots[0];
    slot = StockWord(slot).drained().bits();
  });
  EXPECT_EQ(test::group_at(g_segment, group_).memory.usage(), 19);
  EXPECT_EQ(reap_dead_processes(g_segment), 1u);
  EXPECT_EQ(test::group_at(g_segment, group_).memory.usage(), 3);
  EXPECT_EQ(test::audit_in_time(g_segment), 0);
  *step = 2;
  EXPECT_EQ(owner.wait(), 0);
  EXPECT_EQ(reap_dead_processes(g_segment), 1u);
  expect_nothing_left();
}

// A large domain: the gate is closed for less than a charger waits there, or
// else no recount would ever be finished beside chargers. (Sanitizers are
// slower than that.)
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr uint32_t kGroups = 1000;
#else
constexpr uint32_t kGroups = 10'000;
#endif

TEST(RecountOfALargeDomain, IsDoneWhileChargersWait) {
  ASSERT_EQ(g_segment.create_private({kGroups + 1, 4, 2 * kGroups, 8}), 0);
  ASSERT_EQ(attach_process(kRootGroup, "test"), 0);
  std::vector<Account*> accounts;
  for (uint32_t i = 0; accounts.size() < kGroups; ++i) {
    std::string path = std::to_string(i);
    for (int d = 0; d < kMaxDepth && accounts.size() < kGroups; ++d) {
      const uint32_t group = test::make_group(g_segment, path);
      accounts.push_back(account_of(group));
      ASSERT_NE(accounts.back(), nullptr);
      account_charge(*accounts.back(), 3);
      path += "/d";
    }
  }
  test::group_at(g_segment, kRootGroup).memory.correct(5, 0, 0);
  std::atomic<bool> stop{false};
  std::thread charger([&] {
    ThreadLine line(0);
    for (uint32_t i = 0; !stop; i = (i + 1) % kGroups) {
      account_charge(*accounts[i], 1);
      account_uncharge(*accounts[i], 1);
    }
  });
  RecountResult result;
  uint64_t shortest = UINT64_MAX;
  for (int i = 0; i < 20; ++i) {
    result = recount_now();
    if (!result.done) continue;
    if (result.closed_ns < shortest) shortest = result.closed_ns;
  }
  stop = true;
  charger.join();
  std::printf("%u groups, depth %d: closed for %.3f ms\n", kGroups, kMaxDepth,
              static_cast<double>(shortest) / 1e6);
  // (By whichever: one that is voided is made up for by the next change.)
  EXPECT_EQ(g_segment.header().pages_corrected, 5u);
  EXPECT_EQ(test::group_at(g_segment, kRootGroup).memory.usage(), 3 * kGroups);
  EXPECT_EQ(test::audit_in_time(g_segment), 0);
  EXPECT_EQ(test::tree_faults(g_segment), "");
  accounts_inherit();
  g_segment.detach();
}

}  // namespace
}  // namespace umemcg
