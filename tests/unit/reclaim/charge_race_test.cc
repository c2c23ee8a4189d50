// Threads that race for the last pages under a limit.

#include <gtest/gtest.h>

#include <atomic>
#include <barrier>
#include <thread>
#include <vector>

#include "reclaim/charge.h"
#include "stock/stock.h"
#include "tests/unit/reclaim/race.h"
#include "tests/unit/stock/world.h"

namespace umemcg {
namespace {

class ChargeRaceTest : public ::testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    start_world();
    reset_thread();
    install_reclaim({false});
  }
  void TearDown() override { reset_thread(); }
};

// All threads in one group, or in groups of their own below the limit.
void race_for_rounds(const std::vector<Account*>& accounts, Group& limited,
                     int rounds) {
  const auto threads = static_cast<ptrdiff_t>(accounts.size());
  std::atomic<int64_t> had{0};
  std::barrier sync(threads + 1);
  Disturbance disturbance;
  std::vector<std::thread> racers;
  for (Account* account : accounts) {
    racers.emplace_back([&, account] {
      for (int round = 0; round < rounds; ++round) {
        const Race race = Race::random(static_cast<uint32_t>(round), threads);
        sync.arrive_and_wait();
        const int64_t own = race.run(*account);
        had.fetch_add(own);
        sync.arrive_and_wait();
        sync.arrive_and_wait();  // looked at
        race.give_back(*account, own);
        sync.arrive_and_wait();
      }
      release_line();
    });
  }
  for (int round = 0; round < rounds; ++round) {
    const Race race = Race::random(static_cast<uint32_t>(round), threads);
    // What the round before left in stocks was charged under its limit.
    drain_all_stock(g_segment, kRootGroup);
    limited.memory.store_max(race.pages);
    sync.arrive_and_wait();
    sync.arrive_and_wait();
    EXPECT_EQ(race.pages, had.exchange(0)) << "round " << round;
    EXPECT_EQ(race.pages, limited.memory.usage());
    sync.arrive_and_wait();
    sync.arrive_and_wait();
  }
  for (std::thread& racer : racers) racer.join();
  EXPECT_EQ(0, limited.memory.usage());
  EXPECT_EQ(0, limited.kmem.usage());
}

TEST_P(ChargeRaceTest, ExactlyThePagesThereAreAreHad) {
  Account& account = new_account();
  const std::vector<Account*> accounts(static_cast<size_t>(GetParam()),
                                       &account);
  race_for_rounds(accounts, *g_segment.group(account.group), 200);
}

TEST_P(ChargeRaceTest, ExactlyThePagesThereAreAreHadByGroupsBelowTheLimit) {
  const uint32_t parent = new_group();
  std::vector<Account*> accounts;
  for (int i = 0; i < GetParam(); ++i) {
    accounts.push_back(&new_account(kPageCounterMax, parent));
  }
  race_for_rounds(accounts, *g_segment.group(parent), 100);
}

INSTANTIATE_TEST_SUITE_P(Threads, ChargeRaceTest,
                         ::testing::Values(2, 3, 8, 24));

}  // namespace
}  // namespace umemcg
