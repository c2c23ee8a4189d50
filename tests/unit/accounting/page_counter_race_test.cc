// Chargers and limits that race, in threads and in processes that share the
// counters through a mapping of their own.

#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "accounting/page_counter.h"
#include "base/sys.h"
#include "tests/unit/support/child.h"

namespace umemcg {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr auto kRaceTime = milliseconds(700);
constexpr uint64_t kPause = 20'000;  // ns

// A limited counter, below the root, and chargers that run in rounds: during
// a round they only charge, so that what they hold at its end is settled.
struct Race {
  static constexpr int kChargers = 3;

  PageCounter root, counter;
  std::atomic<int> round;  // chargers run while it is odd; -1: the end
  std::atomic<int> idle;   // chargers that are done with the round

  void init() {
    root.init(nullptr, true);
    counter.init(&root, true);
  }

  void charge_in_rounds(unsigned seed) {
    std::mt19937 random(seed);
    int64_t held = 0;
    int settled = 0;
    while (settled >= 0) {
      idle.fetch_add(1);
      while (round.load() == settled) sys::sleep_ns(kPause);
      held = charge_while_odd(held, random);
      settled = round.load();
    }
    if (held > 0) counter.uncharge(held);
  }

  void start_round() {
    idle.store(0);
    round.fetch_add(1);
  }
  void end_round() {
    round.fetch_add(1);
    while (idle.load() != kChargers) sys::sleep_ns(kPause);
  }
  void end() { round.store(-1); }

 private:
  int64_t charge_while_odd(int64_t held, std::mt19937& random) {
    PageCounter* failed;
    while (round.load() % 2 == 1) {
      int64_t pages = 1 + static_cast<int64_t>(random() % 64);
      if (counter.try_charge(pages, &failed)) held += pages;
      if (held > 3000) {
        counter.uncharge(held);
        held = 0;
      }
    }
    return held;
  }
};

// The limit moves to somewhere near the usage, over and over, from none and
// from one that is near too (chargers then swap instead of adding). What they
// got is compared with the limit when all is still.
void move_the_limit(Race& race) {
  std::mt19937 random(7);
  int changed = 0, busy = 0;
  const auto end = steady_clock::now() + kRaceTime;
  while (steady_clock::now() < end) {
    const int64_t before =
        random() % 2 == 0 ? kPageCounterMax : race.counter.usage() + 3000;
    ASSERT_EQ(race.counter.set_max(before), 0);
    race.start_round();
    sys::sleep_ns(random() % 300'000);
    const int64_t wanted =
        race.counter.usage() + static_cast<int64_t>(random() % 128);
    const int error = race.counter.set_max(wanted);
    race.end_round();
    if (error == 0) {
      ++changed;
      ASSERT_EQ(race.counter.max(), wanted);
      ASSERT_LE(race.counter.usage(), wanted);
    } else {
      ++busy;
      ASSERT_EQ(error, -EBUSY);
      ASSERT_EQ(race.counter.max(), before);
    }
    ASSERT_EQ(race.counter.usage(), race.root.usage());
  }
  EXPECT_GT(changed, 0);
  EXPECT_GT(changed + busy, 10);
  testing::Test::RecordProperty("changed", changed);
  testing::Test::RecordProperty("busy", busy);
}

TEST(PageCounterRace, SetMaxAgainstThreads) {
  auto race = std::make_unique<Race>();
  race->init();
  race->round = 0;
  race->idle = 0;
  std::vector<std::thread> chargers;
  for (unsigned i = 0; i < Race::kChargers; ++i) {
    chargers.emplace_back([&, i] { race->charge_in_rounds(i); });
  }
  while (race->idle.load() != Race::kChargers) sys::sleep_ns(kPause);
  move_the_limit(*race);
  race->end();
  for (std::thread& charger : chargers) charger.join();
  EXPECT_EQ(race->counter.usage(), 0);
  EXPECT_EQ(race->root.usage(), 0);
}

TEST(PageCounterRace, SetMaxAgainstProcesses) {
  test::Shared<Race> race;
  race->init();
  std::vector<std::unique_ptr<test::Child>> chargers;
  for (unsigned i = 0; i < Race::kChargers; ++i) {
    chargers.push_back(
        std::make_unique<test::Child>([&, i] { race->charge_in_rounds(i); }));
  }
  while (race->idle.load() != Race::kChargers) sys::sleep_ns(kPause);
  move_the_limit(*race);
  race->end();
  for (auto& charger : chargers) EXPECT_EQ(charger->wait(), 0);
  EXPECT_EQ(race->counter.usage(), 0);
  EXPECT_EQ(race->root.usage(), 0);
}

// Between two values of a limit, with chargers that charge and uncharge all
// the time: the one who lowers it must see it hold at once.
TEST(PageCounterRace, AfterALowerLimitNoReaderSeesMore) {
  PageCounter counter;
  counter.init(nullptr, true);
  constexpr int64_t kHigh = 1000, kLow = 500;
  ASSERT_EQ(counter.set_max(kHigh), 0);
  std::atomic<bool> stop{false};
  std::vector<std::thread> chargers;
  for (int i = 0; i < 3; ++i) {
    chargers.emplace_back([&] {
      PageCounter* failed;
      while (!stop.load(std::memory_order_relaxed)) {
        int64_t held = 0;
        while (held < 300 && counter.try_charge(7, &failed)) held += 7;
        if (held > 0) counter.uncharge(held);
      }
    });
  }
  int lowered = 0;
  const auto end = steady_clock::now() + kRaceTime;
  while (steady_clock::now() < end) {
    if (counter.set_max(kLow) == 0) {
      ++lowered;
      // A charge that looked before and swaps after is taken back: give the
      // three of them time to see it.
      sys::sleep_ns(5 * kPause);
      for (int i = 0; i < 100; ++i) {
        ASSERT_LE(counter.usage(), kLow + 3 * 7);
      }
    }
    ASSERT_EQ(counter.set_max(kHigh), 0);
    sys::sleep_ns(kPause);
  }
  stop = true;
  for (std::thread& charger : chargers) charger.join();
  EXPECT_GT(lowered, 0);
  EXPECT_EQ(counter.usage(), 0);
}

// Large charges that cannot fit beside small ones that do, near the limit.
class PageCounterCrowd : public testing::Test {
 protected:
  static constexpr int64_t kMax = 10'000;
  static constexpr int64_t kRoom = 100;
  static constexpr int64_t kSmallMost = kRoom / 2;  // for each of two

  void SetUp() override {
    limited_.init(nullptr, true);
    for (PageCounter& leaf : leaves_) leaf.init(&limited_, true);
    leaves_[0].charge(kMax - kRoom);
    ASSERT_EQ(limited_.set_max(kMax), 0);
  }

  void charge_large(PageCounter& counter) {
    PageCounter* failed;
    while (!stop_.load(std::memory_order_relaxed)) {
      if (counter.try_charge(512, &failed)) ++large_fits_;
    }
  }
  void charge_small(PageCounter& counter) {
    PageCounter* failed;
    int64_t held = 0;
    while (!stop_.load(std::memory_order_relaxed)) {
      if (held < kSmallMost) {
        counter.try_charge(1, &failed) ? void(++held) : void(++refused_);
      } else {
        counter.uncharge(held);
        held = 0;
      }
    }
    if (held > 0) counter.uncharge(held);
  }

  void run(PageCounter& large, PageCounter& small) {
    std::vector<std::thread> threads;
    for (int i = 0; i < 2; ++i) {
      threads.emplace_back([&] { charge_large(large); });
      threads.emplace_back([&] { charge_small(small); });
    }
    const auto end = steady_clock::now() + kRaceTime;
    int64_t seen = 0;
    while (steady_clock::now() < end) {
      for (int i = 0; i < 1000; ++i) {
        int64_t usage = limited_.usage();
        if (usage > seen) seen = usage;
      }
    }
    stop_ = true;
    for (std::thread& thread : threads) thread.join();
    EXPECT_LE(seen, kMax) << "a value above max was stored";
    EXPECT_GT(seen, kMax - kRoom) << "no small charge was seen";
    EXPECT_EQ(large_fits_, 0);
    EXPECT_EQ(refused_, 0) << "of 1-page charges that had room";
    EXPECT_LE(limited_.watermark(), kMax);
    EXPECT_GT(limited_.failcnt(), 0u);
    EXPECT_EQ(limited_.usage(), kMax - kRoom);
  }

  PageCounter limited_, leaves_[3];
  std::atomic<bool> stop_{false};
  std::atomic<int64_t> large_fits_{0}, refused_{0};
};

TEST_F(PageCounterCrowd, OnTheLimitedCounterItself) { run(limited_, limited_); }

TEST_F(PageCounterCrowd, OnDifferentGroupsBelowIt) {
  run(leaves_[1], leaves_[2]);
}

// Two threads charge in step, and neither gives anything back: what both have
// charged when they meet is the peak.
TEST(PageCounterRace, TheWatermarkIsThePeak) {
  PageCounter counter;
  counter.init(nullptr, true);
  std::atomic<int> arrived{0};
  std::atomic<bool> stop{false};
  int wrong = 0;
  auto meet = [&](int times) {
    arrived.fetch_add(1);
    for (int spin = 0; arrived.load() < 2 * times; ++spin) {
      if (spin > 200) sys::yield();
    }
  };
  auto charge = [&](bool watches) {
    const auto end = steady_clock::now() + kRaceTime;
    for (int round = 1; !stop; ++round) {
      meet(2 * round - 1);
      for (int i = 0; i < 3; ++i) counter.charge(1);
      if (watches && steady_clock::now() > end) stop = true;
      meet(2 * round);
      if (watches) wrong += counter.watermark() != 6 * round;
    }
  };
  std::thread other([&] { charge(false); });
  charge(true);
  other.join();
  EXPECT_EQ(wrong, 0);
}

// Protected usage and its sums are exact when all is still again.
TEST(PageCounterRace, ProtectedUsageSettlesExactly) {
  PageCounter family[4];
  PageCounter& root = family[0];
  root.init(nullptr, true);
  for (int i = 1; i < 4; ++i) family[i].init(&family[i - 1], true);
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < 3; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937 random(t);
      for (int i = 0; i < 20000; ++i) {
        PageCounter& counter = family[random() % 4];
        int64_t pages = 1 + static_cast<int64_t>(random() % 9);
        counter.charge(pages);
        if (i % 50 == 0) family[3].set_low(static_cast<int64_t>(random() % 30));
        counter.uncharge(pages);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  family[3].charge(10);
  for (int i = 1; i < 4; ++i) {
    family[i].set_min(4);
    family[i].set_low(20);
  }
  for (int i = 0; i < 4; ++i) EXPECT_EQ(family[i].usage(), 10);
  for (int i = 1; i < 4; ++i) {
    EXPECT_EQ(family[i].min_usage(), 4);
    EXPECT_EQ(family[i].low_usage(), 10);
    EXPECT_EQ(family[i - 1].children_min_usage(), 4);
    EXPECT_EQ(family[i - 1].children_low_usage(), 10);
  }
}

}  // namespace
}  // namespace umemcg
