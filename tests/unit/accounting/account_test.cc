#include "accounting/account.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <thread>
#include <vector>

#include "accounting/process.h"
#include "accounting/stat_line.h"
#include "base/sys.h"
#include "tests/unit/accounting/fixture.h"

namespace umemcg {
namespace {

using Limit = PageCounter::Limit;

int64_t read(uint32_t group, Stat stat) {
  int64_t stats[kStats];
  read_stats(g_segment, group, false, stats);
  return stats[static_cast<int>(stat)];
}

class AccountTest : public test::OwnSegmentTest {
 protected:
  void SetUp() override {
    OwnSegmentTest::SetUp();
    group_ = test::make_group(g_segment, "/a/b");
    account_ = account_of(group_);
    ASSERT_NE(account_, nullptr);
  }
  PageCounter& counter() { return g_segment.group(group_)->memory; }

  uint32_t group_ = kNone;
  Account* account_ = nullptr;
  PageCounter* failed_ = nullptr;
};

TEST_F(AccountTest, IsMadeOnceAGroup) {
  EXPECT_EQ(account_of(group_), account_);
  EXPECT_EQ(account_->group, group_);
  EXPECT_EQ(account_->counter, &counter());
  EXPECT_EQ(account_->ledger, g_segment.ledger(account_->ledger_index));
  EXPECT_EQ(account_->ledger->owner, make_owner(this_process(), group_));
  Account* other = account_of(kRootGroup);
  EXPECT_NE(other, account_);
  EXPECT_NE(other->ledger_index, account_->ledger_index);
  EXPECT_EQ(account_of(test::kSmall.groups), nullptr);
  EXPECT_EQ(account_of(kNone), nullptr);
}

TEST_F(AccountTest, IsFoundByItsId) {
  EXPECT_NE(account_->id, 0u);
  EXPECT_LE(account_->id, account_count());
  EXPECT_EQ(account_at(account_->id), account_);
  EXPECT_EQ(account_at(0), nullptr);
  EXPECT_EQ(account_at(UINT32_MAX), nullptr);
}

TEST_F(AccountTest, WritesDownWhatItCharges) {
  account_charge(*account_, 10);
  EXPECT_TRUE(account_try_charge(*account_, 5, &failed_));
  EXPECT_EQ(counter().usage(), 15);
  EXPECT_EQ(account_->ledger->pages, 15);
  account_uncharge(*account_, 7);
  EXPECT_EQ(counter().usage(), 8);
  EXPECT_EQ(account_->ledger->pages, 8);
  EXPECT_EQ(read(group_, Stat::kCharged), 15);
  EXPECT_EQ(read(group_, Stat::kUncharged), 7);
}

TEST_F(AccountTest, ARefusalWritesNothingDown) {
  ASSERT_EQ(counter().set_max(10), 0);
  counter().set_reserve(2);
  EXPECT_FALSE(account_try_charge(*account_, 11, &failed_));
  EXPECT_EQ(failed_, &counter());
  EXPECT_EQ(account_->ledger->pages, 0);
  EXPECT_EQ(read(group_, Stat::kCharged), 0);
  EXPECT_EQ(counter().failcnt(), 1u);
  EXPECT_FALSE(account_try_charge(*account_, 11, &failed_, Limit::kMax, false));
  EXPECT_EQ(counter().failcnt(), 1u);
  EXPECT_TRUE(
      account_try_charge(*account_, 11, &failed_, Limit::kMaxAndReserve));
  account_charge(*account_, 100);
  EXPECT_EQ(account_->ledger->pages, 111);
}

TEST_F(AccountTest, AnInheritedOneIsNeverUncharged) {
  account_charge(*account_, 10);
  account_->cached_head = 3;
  account_->cached_pages = 3;
  accounts_inherit();
  account_uncharge(*account_, 10);
  EXPECT_EQ(counter().usage(), 10);
  EXPECT_EQ(account_->ledger->pages, 10);
  EXPECT_EQ(account_->cached_head, 0u);
  EXPECT_EQ(account_->cached_pages, 0);
  // From now on the group has a fresh one.
  Account* fresh = account_of(group_);
  ASSERT_NE(fresh, nullptr);
  EXPECT_NE(fresh, account_);
  EXPECT_NE(fresh->ledger, account_->ledger);
  EXPECT_FALSE(fresh->inherited);
  EXPECT_EQ(fresh->ledger->pages, 0);
}

TEST_F(AccountTest, WithoutALedgerThereIsNone) {
  for (uint32_t i = 0; i < test::kSmall.ledgers; ++i) {
    uint64_t free = 0;
    g_segment.ledger(i)->owner.compare_exchange_strong(free, 1);
  }
  const uint32_t before = account_count();
  EXPECT_EQ(account_of(kRootGroup), nullptr);
  EXPECT_EQ(account_count(), before);
  EXPECT_EQ(account_of(group_), account_);
}

TEST_F(AccountTest, KeepsErrno) {
  errno = 22;
  ASSERT_EQ(counter().set_max(1), 0);
  EXPECT_FALSE(account_try_charge(*account_, 2, &failed_));
  account_charge(*account_, 2);
  account_uncharge(*account_, 2);
  account_of(test::make_group(g_segment, "/errno"));
  EXPECT_EQ(errno, 22);
}

// As many groups as fit, all children of the root.
void make_groups(uint32_t count) {
  for (uint32_t i = 1; i < count; ++i) {
    ASSERT_EQ(test::make_group(g_segment, "/g" + std::to_string(i)), i);
  }
}

// The table grows by blocks of 512 that never move.
TEST(AccountTable, GrowsWithoutMoving) {
  constexpr uint32_t kGroups = 1200;
  ASSERT_EQ(g_segment.create_private({kGroups, 8, kGroups, 8}), 0);
  make_groups(kGroups);
  std::vector<Account*> accounts;
  for (uint32_t group = 0; group < kGroups; ++group) {
    accounts.push_back(account_of(group));
    ASSERT_NE(accounts.back(), nullptr) << group;
  }
  for (uint32_t group = 0; group < kGroups; ++group) {
    ASSERT_EQ(accounts[group]->group, group);
    ASSERT_EQ(account_at(accounts[group]->id), accounts[group]);
  }
  accounts_inherit();
  g_segment.detach();
}

// Two threads, all the way in step.
TEST(AccountTable, MakesOneAccountForTwoThreads) {
  constexpr uint32_t kGroups = 2000;
  ASSERT_EQ(g_segment.create_private({kGroups, 8, 2 * kGroups, 8}), 0);
  make_groups(kGroups);
  std::atomic<uint32_t> ready{0};
  std::vector<Account*> found[2];
  std::vector<std::thread> threads;
  for (auto& mine : found) {
    threads.emplace_back([&] {
      for (uint32_t group = 0; group < kGroups; ++group) {
        ++ready;
        while (ready < 2 * (group + 1)) sys::yield();
        mine.push_back(account_of(group));
        account_charge(*mine.back(), 1);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (uint32_t group = 0; group < kGroups; ++group) {
    ASSERT_EQ(found[0][group], found[1][group]);
    ASSERT_EQ(found[0][group]->ledger->pages, 2);
  }
  accounts_inherit();
  g_segment.detach();
}

// The next account is the first of a block that is not there yet.
TEST(AccountTable, WithoutMemoryThereIsNone) {
  ASSERT_EQ(g_segment.create_private(test::kSmall), 0);
  while (account_count() % 512 != 511) {
    account_of(kRootGroup);
    accounts_inherit();
    for (uint32_t i = 0; i < g_segment.ledger_count(); ++i) {
      g_segment.ledger(i)->owner = 0;
    }
  }
  sys::memory.map = [](void*, size_t, int, int, int, off_t,
                       int* error) -> void* {
    *error = ENOMEM;
    return nullptr;
  };
  EXPECT_EQ(account_of(kRootGroup), nullptr);
  sys::memory = sys::kRealMemory;
  EXPECT_NE(account_of(kRootGroup), nullptr);
  accounts_inherit();
  g_segment.detach();
}

}  // namespace
}  // namespace umemcg
