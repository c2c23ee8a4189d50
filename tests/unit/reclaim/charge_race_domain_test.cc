// Processes of a domain that race for the last pages under a limit.

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <vector>

#include "accounting/process.h"
#include "accounting/stat_line.h"
#include "base/sys.h"
#include "reclaim/charge.h"
#include "stock/stock.h"
#include "tests/unit/reclaim/race.h"
#include "tests/unit/stock/world.h"
#include "tests/unit/support/child.h"

namespace umemcg {
namespace {

constexpr int kProcesses = 3;  // beside the test's own: 4 slots in its domain
constexpr int kRounds = 300;

// What the racers share: who has arrived, in all rounds; and the pages had.
struct Shared {
  std::atomic<int64_t> arrived{0};
  std::atomic<int64_t> had{0};
};

class Meeting {
 public:
  explicit Meeting(Shared& shared) : shared_(shared) {}
  // Until all have been here as often. False if they do not come.
  bool wait() {
    ++times_;
    shared_.arrived.fetch_add(1);
    const uint64_t deadline = sys::monotonic_ns() + 20'000'000'000;
    while (shared_.arrived.load() < times_ * (kProcesses + 1)) {
      if (sys::monotonic_ns() > deadline) return false;
      sys::yield();
    }
    return true;
  }

 private:
  Shared& shared_;
  int64_t times_ = 0;
};

Race race_of(int round) {
  return Race::random(static_cast<uint32_t>(round), kProcesses);
}

void race_as_child(Shared& shared, uint32_t group) {
  set_thread_line(nullptr);
  ASSERT_EQ(0, attach_process(group, "racer"));
  accounts_inherit();
  Account* account = account_of(group);
  ASSERT_NE(nullptr, account);
  Disturbance disturbance;
  Meeting meeting(shared);
  for (int round = 0; round < kRounds; ++round) {
    const Race race = race_of(round);
    ASSERT_TRUE(meeting.wait());
    const int64_t own = race.run(*account);
    shared.had.fetch_add(own);
    ASSERT_TRUE(meeting.wait());
    ASSERT_TRUE(meeting.wait());  // looked at
    race.give_back(*account, own);
    ASSERT_TRUE(meeting.wait());
  }
  release_line();
}

TEST(ChargeRaceDomainTest, ExactlyThePagesThereAreAreHad) {
  start_domain_world();
  install_reclaim({false});
  const uint32_t group = new_group();
  PageCounter& counter = g_segment.group(group)->memory;
  test::Shared<Shared> shared;
  std::vector<std::unique_ptr<test::Child>> children;
  for (int i = 0; i < kProcesses; ++i) {
    children.push_back(
        std::make_unique<test::Child>([&] { race_as_child(*shared, group); }));
  }
  Meeting meeting(*shared);
  for (int round = 0; round < kRounds; ++round) {
    const Race race = race_of(round);
    // What the round before left in stocks was charged under its limit.
    drain_all_stock(g_segment, group);
    counter.store_max(race.pages);
    ASSERT_TRUE(meeting.wait());
    ASSERT_TRUE(meeting.wait());
    EXPECT_EQ(race.pages, shared->had.exchange(0)) << "round " << round;
    EXPECT_EQ(race.pages, counter.usage());
    ASSERT_TRUE(meeting.wait());
    ASSERT_TRUE(meeting.wait());
  }
  for (auto& child : children) EXPECT_EQ(0, child->wait());
  EXPECT_EQ(0, counter.usage());
  EXPECT_EQ(0, g_segment.group(group)->kmem.usage());
}

}  // namespace
}  // namespace umemcg
