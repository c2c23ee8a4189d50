// Shrinkers and threads: calls, ends and forks that meet.

#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <random>
#include <semaphore>
#include <thread>
#include <vector>

#include "tests/unit/reclaim/shrinker_fixture.h"

namespace umemcg {
namespace {

void sleep_ms(uint64_t ms) { sys::sleep_ns(ms * 1'000'000); }

// A thread that is in a cache's scan until it is let go.
class InScan {
 public:
  InScan(Cache& cache, Account& account) : cache_(cache) {
    cache.in_scan = [this] {
      inside_.release();
      go_.acquire();
    };
    thread_ = std::thread([&account] {
      run_shrinkers(account, 1);
      reset_thread();
    });
    inside_.acquire();
  }
  ~InScan() {
    let_go();
    thread_.join();
    cache_.in_scan = nullptr;
  }
  void let_go() {
    if (!gone_) go_.release();
    gone_ = true;
  }

 private:
  Cache& cache_;
  std::binary_semaphore inside_{0};
  std::binary_semaphore go_{0};
  bool gone_ = false;
  std::thread thread_;
};

// Deadlines are for other tests.
ShrinkerSpec unhurried() { return Cache::within(600'000); }

class ShrinkerRaceTest : public ShrinkerTest {};

TEST_F(ShrinkerRaceTest, OneThatIsBusyIsSkipped) {
  Cache busy(8 * kPage, unhurried());
  Cache idle(8 * kPage, Cache::costing(1));
  {
    InScan other(busy, *account_);
    EXPECT_TRUE(has_shrinkers(*account_));
    EXPECT_EQ(8, count_shrinkable(*account_));
    EXPECT_EQ(4, run_shrinkers(*account_, 4));
    EXPECT_EQ(4 * kPage, idle.bytes);
    EXPECT_EQ(2u, busy.stats().busy);
  }
  EXPECT_EQ(1, busy.scanned);
  EXPECT_EQ(1, run_shrinkers(*account_, 1));
  EXPECT_EQ(2, busy.scanned);
}

TEST_F(ShrinkerRaceTest, UnregisteringWaitsForTheCall) {
  Cache cache(8 * kPage, unhurried());
  auto other = std::make_unique<InScan>(cache, *account_);
  const int id = cache.id;
  cache.id = 0;
  std::atomic<bool> left{false};
  std::thread leaver([&] {
    EXPECT_EQ(0, unregister_shrinker(id));
    left = true;
  });
  while (any_shrinkers()) sys::yield();
  EXPECT_EQ(0, run_shrinkers(*account_, 1));
  EXPECT_EQ(EBADF, unregister_shrinker(id));
  sleep_ms(10);
  EXPECT_FALSE(left);
  other->let_go();
  leaver.join();
  EXPECT_TRUE(left);
  other.reset();
  EXPECT_EQ(1, cache.scanned);
}

TEST_F(ShrinkerRaceTest, NotFromItsOwnCallButAnother) {
  Cache cache(8 * kPage);
  auto leaving = std::make_unique<Cache>(kPage, Cache::costing(1));
  std::unique_ptr<Cache> joining;
  int error = 0;
  cache.in_scan = [&] {
    error = unregister_shrinker(cache.id);
    leaving.reset();
    joining = std::make_unique<Cache>(kPage, Cache::costing(1));
  };
  EXPECT_EQ(4, run_shrinkers(*account_, 4));
  EXPECT_EQ(EDEADLK, error);
  cache.in_scan = nullptr;
  EXPECT_EQ(5, run_shrinkers(*account_, 8));
  EXPECT_EQ(1, joining->scanned);
}

// Each in its own call, two threads wait for each other's end.
TEST_F(ShrinkerRaceTest, ACircleOfWaitersIsBroken) {
  Account& first_account = *account_;
  Account& second_account = new_account();
  ShrinkerSpec spec = Cache::of(first_account);
  spec.deadline_ms = 600'000;
  Cache first(8 * kPage, spec);
  spec = Cache::of(second_account);
  spec.deadline_ms = 600'000;
  Cache second(8 * kPage, spec);
  std::atomic<int> inside{0};
  int errors[2] = {-1, -1};
  auto meet_and_unregister = [&](Cache& other, int* error) {
    ++inside;
    while (inside < 2) sys::yield();
    *error = unregister_shrinker(other.id);
    if (*error == 0) other.id = 0;
  };
  first.in_scan = [&] { meet_and_unregister(second, &errors[0]); };
  second.in_scan = [&] { meet_and_unregister(first, &errors[1]); };
  std::thread one([&] { run_shrinkers(first_account, 1); });
  std::thread two([&] { run_shrinkers(second_account, 1); });
  one.join();
  two.join();
  EXPECT_TRUE(errors[0] == EDEADLK || errors[1] == EDEADLK);
  for (int error : errors) EXPECT_TRUE(error == 0 || error == EDEADLK) << error;
}

// Work that is handed to another thread, and waited for.
TEST_F(ShrinkerRaceTest, AnotherThreadDoesTheWork) {
  Cache cache(8 * kPage, unhurried());
  int64_t freed_by_helper = -1;
  cache.in_scan = [&] {
    std::thread helper([&] {
      // What it needs itself finds the shrinker busy.
      freed_by_helper = run_shrinkers(*account_, 1);
      EXPECT_FALSE(t_context.reclaiming);
      reset_thread();
    });
    helper.join();
  };
  EXPECT_EQ(8, run_shrinkers(*account_, 8));
  EXPECT_EQ(0, freed_by_helper);
  EXPECT_EQ(1u, cache.stats().busy);
}

// The status of a child that `body` gives.
template <typename Body>
int in_child(Body body) {
  const pid_t child = fork();
  if (child == 0) {
    reset_shrinkers();
    _exit(body());
  }
  int status = -1;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST_F(ShrinkerRaceTest, AChildIsNotInWhatItsParentIsIn) {
  Cache cache(8 * kPage, unhurried());
  InScan other(cache, *account_);
  EXPECT_EQ(in_child([&] {
              cache.in_scan = nullptr;
              if (!any_shrinkers()) return 1;
              if (run_shrinkers(*account_, 2) != 2) return 2;
              return unregister_shrinker(cache.id) == 0 ? 0 : 3;
            }),
            0);
  EXPECT_EQ(0, run_shrinkers(*account_, 2));
}

TEST_F(ShrinkerRaceTest, AChildForkedInACallIsInIt) {
  Cache cache(8 * kPage, unhurried());
  pid_t child = -1;
  int error = 0;
  cache.in_scan = [&] {
    child = fork();
    if (child == 0) {
      reset_shrinkers();
      error = unregister_shrinker(cache.id);
    }
  };
  const int64_t freed = run_shrinkers(*account_, 2);
  if (child == 0) {
    cache.in_scan = nullptr;
    const bool well = freed == 2 && error == EDEADLK &&
                      run_shrinkers(*account_, 2) == 2 &&
                      unregister_shrinker(cache.id) == 0;
    _exit(well ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(child, waitpid(child, &status, 0));
  EXPECT_EQ(0, status);
  EXPECT_EQ(2, freed);
  EXPECT_EQ(0, error);
}

// The thread that waited is not in the child: the shrinker is gone there.
TEST_F(ShrinkerRaceTest, AChildOfAProcessThatIsUnregistering) {
  Cache cache(8 * kPage, unhurried());
  auto other = std::make_unique<InScan>(cache, *account_);
  const int id = cache.id;
  cache.id = 0;
  std::thread leaver([&] { EXPECT_EQ(0, unregister_shrinker(id)); });
  while (any_shrinkers()) sys::yield();
  EXPECT_EQ(in_child([&] {
              if (any_shrinkers()) return 1;
              if (run_shrinkers(*account_, 2) != 0) return 2;
              Cache next(kPage);
              return run_shrinkers(*account_, 2) == 1 ? 0 : 3;
            }),
            0);
  other.reset();
  leaver.join();
}

// What was unregistered is not touched again: its cache is deleted.
TEST_F(ShrinkerRaceTest, ManyComeAndGo) {
  const uint64_t end = sys::monotonic_ns() + 200'000'000;
  std::atomic<int64_t> freed{0};
  auto reclaim = [&] {
    while (sys::monotonic_ns() < end) freed += run_shrinkers(*account_, 3);
    reset_thread();
  };
  auto come_and_go = [&](unsigned seed) {
    std::mt19937 random(seed);
    std::vector<std::unique_ptr<Cache>> caches;
    while (sys::monotonic_ns() < end) {
      if (caches.size() < 8 && random() % 2 == 0) {
        const int cost = static_cast<int>(random() % 3);
        caches.push_back(
            std::make_unique<Cache>(10 * kPage, Cache::costing(cost)));
      } else if (!caches.empty()) {
        caches.erase(caches.begin() +
                     static_cast<int>(random() % caches.size()));
      }
    }
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i) threads.emplace_back(reclaim);
  for (unsigned i = 0; i < 2; ++i) threads.emplace_back(come_and_go, i);
  for (std::thread& thread : threads) thread.join();
  EXPECT_GT(freed, 0);
  EXPECT_FALSE(has_shrinkers(*account_));
}

}  // namespace
}  // namespace umemcg
