#include "base/lock.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

namespace umemcg {
namespace {

constinit Lock constant_lock;

TEST(Lock, IsUsableBeforeAnyConstructor) {
  LockGuard guard(constant_lock);
  EXPECT_FALSE(constant_lock.try_lock());
}

TEST(Lock, TryLockFailsWhileItIsHeld) {
  Lock lock;
  EXPECT_TRUE(lock.try_lock());
  EXPECT_FALSE(lock.try_lock());
  lock.unlock();
  EXPECT_TRUE(lock.try_lock());
  lock.unlock();
}

TEST(Lock, GuardUnlocksAtItsEnd) {
  Lock lock;
  { LockGuard guard(lock); }
  EXPECT_TRUE(lock.try_lock());
}

// Neither an update lost nor a thread left asleep. Sleeping with the lock held
// sends the others to the futex.
TEST(Lock, ExcludesUnderContention) {
  Lock lock;
  constexpr int kThreads = 4;
  constexpr int kRounds = 20000;
  int64_t plain = 0;  // guarded by `lock` alone
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < kRounds; ++i) {
        LockGuard guard(lock);
        ++plain;
        if (i % 1000 == 0) {
          std::this_thread::sleep_for(std::chrono::microseconds(100));
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(plain, int64_t{kThreads} * kRounds);
}

// At once, not when its time-out of 100 ms makes it look again. The shortest
// of some tries, since the machine may be busy.
TEST(Lock, WakesASleeper) {
  using std::chrono::steady_clock;
  auto shortest = steady_clock::duration::max();
  for (int i = 0; i < 5; ++i) {
    Lock lock;
    std::atomic<bool> has_it{false};
    lock.lock();
    std::thread sleeper([&] {
      LockGuard guard(lock);
      has_it = true;
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    EXPECT_FALSE(has_it);
    const auto start = steady_clock::now();
    lock.unlock();
    sleeper.join();
    EXPECT_TRUE(has_it);
    shortest = std::min(shortest, steady_clock::now() - start);
  }
  EXPECT_LT(shortest, std::chrono::milliseconds(50));
}

// As in the child of a fork, whose parent had the lock in another thread.
TEST(Lock, ResetFreesItFromAHolderThatIsGone) {
  Lock lock;
  std::thread([&] { lock.lock(); }).join();
  EXPECT_FALSE(lock.try_lock());
  lock.reset();
  lock.lock();
  lock.unlock();
}

}  // namespace
}  // namespace umemcg
