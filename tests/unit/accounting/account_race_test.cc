// Accounts in the hands of many threads while their groups come and go.

#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "accounting/account.h"
#include "accounting/gate.h"
#include "accounting/process.h"
#include "accounting/recount.h"
#include "accounting/stock_word.h"
#include "base/sys.h"
#include "tests/unit/accounting/fixture.h"
#include "tests/unit/accounting/tree_check.h"

namespace umemcg {
namespace {

using test::ThreadLine;

Group& row(uint32_t group) { return test::group_at(g_segment, group); }
int64_t usage(uint32_t group) { return row(group).memory.usage(); }

// Threads charge and uncharge in groups that come and go, while another thread
// looks through the accounts and releases what is empty.
class StaleRace {
 public:
  static constexpr int kChargers = 3;
  static constexpr int kGroups = 6;

  void run() {
    std::vector<std::thread> threads;
    for (uint32_t i = 0; i < kChargers; ++i) {
      threads.emplace_back([this, i] { charge(i); });
    }
    threads.emplace_back([this] { come_and_go(); });
    while (running_ != 0) tidy();
    for (std::thread& thread : threads) thread.join();
  }
  int released() const { return released_; }
  int removed() const { return removed_; }

 private:
  struct Held {
    Account* account;
    int64_t pages;
    bool kind;
  };

  bool enough() const {
    return (removed_ > 200 && released_ > 200) ||
           sys::monotonic_ns() > deadline_;
  }

  static std::string path(uint32_t i) {
    return "/t" + std::to_string(i % 2) + "/g" + std::to_string(i);
  }

  static void drop(const Held& held) {
    if (held.kind)
      account_uncharge_kind(*held.account, Kind::kKmem, held.pages);
    account_uncharge(*held.account, held.pages);
    account_put(*held.account);
  }

  // In a stock for a while, as well.
  static void through_stock(Account& account, StockLine& line, uint32_t slot) {
    ChargeSection section;
    account_charge(account, 8);
    const uint64_t word = StockWord(account.ledger_index, 8).bits();
    settle_word(g_segment, StockWord(line.slots[slot].exchange(word)));
  }

  void charge(uint32_t index) {
    {
      ThreadLine line(index);
      std::mt19937 random(index);
      std::vector<Held> held;
      for (int n = 0; n < 4000 || !enough(); ++n) {
        if (held.size() > 30 || (!held.empty() && test::pick(random, 2) == 0)) {
          const size_t at =
              test::pick(random, static_cast<uint32_t>(held.size()));
          drop(held[at]);
          held[at] = held.back();
          held.pop_back();
          continue;
        }
        const uint32_t group =
            find_group(g_segment, path(test::pick(random, kGroups)).c_str());
        Account* account = group != kNone ? account_of(group) : nullptr;
        if (account == nullptr || !account_get(*account)) continue;
        const Held now = {account, 1 + test::pick(random, 9),
                          test::pick(random, 2) == 0};
        account_charge(*account, now.pages);
        if (now.kind) account_charge_kind(*account, Kind::kKmem, now.pages);
        if (n % 4 == 0)
          through_stock(*account, *line, test::pick(random, kStockSlots));
        held.push_back(now);
      }
      for (const Held& last : held) drop(last);
    }
    --running_;
  }

  void come_and_go() {
    std::mt19937 random(99);
    while (running_ != 1) {
      const std::string name = path(test::pick(random, kGroups));
      uint32_t group = find_group(g_segment, name.c_str());
      if (group == kNone) {
        const int error = create_group(g_segment, name.c_str(), &group);
        EXPECT_TRUE(error == 0 || error == ENOSPC) << error;
      } else if (remove_group(g_segment, group) == 0) {
        ++removed_;
      }
      if (test::pick(random, 16) == 0) drain_all_stock(g_segment, kRootGroup);
      sys::yield();
    }
    --running_;
  }

  void tidy() {
    sync_accounts();
    for (uint32_t id = 1; id <= account_count(); ++id) {
      released_ += account_release(*account_at(id));
    }
    sys::yield();
  }

  std::atomic<int> running_{kChargers + 1};
  std::atomic<int> removed_{0};
  std::atomic<int> released_{0};
  const uint64_t deadline_ = sys::monotonic_ns() + 20'000'000'000;
};

TEST(StaleAccounts, NothingIsLostWhileGroupsComeAndGo) {
  ASSERT_EQ(g_segment.create_private({64, 4, 512, 16}), 0);
  ASSERT_EQ(attach_process(kRootGroup, "test"), 0);
  StaleRace race;
  race.run();
  EXPECT_GT(race.removed(), 0);
  EXPECT_GT(race.released(), 0);
  EXPECT_EQ(test::audit_in_time(g_segment), 0);
  EXPECT_EQ(g_segment.header().pages_corrected, 0u);
  for (uint32_t i = 0; i < g_segment.groups_used(); ++i) {
    if (!group_online(g_segment, i)) continue;
    EXPECT_EQ(usage(i), 0) << i;
    EXPECT_EQ(row(i).kmem.usage(), 0) << i;
  }
  // And nothing is left of what is removed.
  for (uint32_t i = g_segment.groups_used(); i-- > 1;) {
    if (group_online(g_segment, i)) remove_group(g_segment, i);
  }
  for (const char* top : {"/t0", "/t1"}) {
    remove_group(g_segment, find_group(g_segment, top));
  }
  sync_accounts();
  for (uint32_t id = 1; id <= account_count(); ++id) {
    account_release(*account_at(id));
  }
  release_groups(g_segment);
  EXPECT_EQ(test::rows_in_use(g_segment), 1u);
  EXPECT_EQ(test::tree_faults(g_segment), "");
  for (uint32_t i = 0; i < g_segment.ledgers_used(); ++i) {
    EXPECT_EQ(g_segment.ledger(i)->owner, 0u) << i;
    EXPECT_EQ(g_segment.ledger(i)->pages, 0) << i;
  }
  accounts_inherit();
  g_segment.detach();
}

}  // namespace
}  // namespace umemcg
