// Waiting for events of a group.

#include <gtest/gtest.h>

#include <pthread.h>
#include <cerrno>
#include <csignal>
#include <thread>

#include "accounting/event.h"
#include "base/sys.h"
#include "tests/unit/accounting/fixture.h"
#include "tests/unit/support/child.h"

namespace umemcg {
namespace {

constexpr uint64_t kMs = 1'000'000;
constexpr uint64_t kLong = 10'000 * kMs;

class EventWaitTest : public test::PrivateSegmentTest {
 protected:
  void SetUp() override {
    PrivateSegmentTest::SetUp();
    a_ = test::make_group(segment_, "/a");
    b_ = test::make_group(segment_, "/a/b");
  }
  uint64_t now(uint32_t group) { return event_generation(segment_, group); }
  int wait(uint32_t group, uint64_t seen, uint64_t timeout_ns) {
    return wait_for_event(segment_, group, group_id(segment_, group), seen,
                          timeout_ns);
  }
  // Until somebody has said that it waits there.
  bool somebody_waits(uint32_t group) {
    Group& row = test::group_at(segment_, group);
    return test::wait_until([&] { return row.event_waiters != 0; });
  }

  uint32_t a_ = kNone, b_ = kNone;
};

TEST_F(EventWaitTest, NothingHappens) {
  EXPECT_EQ(wait(a_, now(a_), 0), ETIMEDOUT);
  const uint64_t since = sys::monotonic_ns();
  EXPECT_EQ(wait(a_, now(a_), 20 * kMs), ETIMEDOUT);
  EXPECT_GE(sys::monotonic_ns() - since, 20 * kMs);
}

TEST_F(EventWaitTest, TheFirstLookReturnsAtOnce) {
  EXPECT_EQ(wait(a_, 0, kLong), 0);
  EXPECT_NE(now(a_), 0u);
}

TEST_F(EventWaitTest, WhatHappenedBeforeIsNotMissed) {
  const uint64_t seen = now(a_);
  memcg_memory_event(segment_, b_, Event::kMax);
  EXPECT_EQ(wait(a_, seen, kLong), 0);
  EXPECT_EQ(wait(a_, now(a_), 0), ETIMEDOUT);
}

// At every level at which it counts and at the root, and nowhere else.
TEST_F(EventWaitTest, IsHeardAtItsLevels) {
  const uint64_t in_a = now(a_), in_b = now(b_), in_root = now(kRootGroup);
  memcg_memory_event(segment_, a_, Event::kHigh);
  EXPECT_NE(now(a_), in_a);
  EXPECT_EQ(now(b_), in_b);
  const uint64_t after = now(kRootGroup);
  EXPECT_NE(after, in_root);
  EXPECT_EQ(test::group_at(segment_, kRootGroup).events[1], 0u);
  memcg_memory_event(segment_, kRootGroup, Event::kHigh);  // events.local
  EXPECT_NE(now(kRootGroup), after);
}

TEST_F(EventWaitTest, AWaiterIsWoken) {
  const uint64_t seen = now(a_);
  int result = -1;
  std::thread waiter([&] { result = wait(a_, seen, kLong); });
  EXPECT_TRUE(somebody_waits(a_));
  memcg_memory_event(segment_, b_, Event::kLow);
  waiter.join();
  EXPECT_EQ(result, 0);
  EXPECT_EQ(test::group_at(segment_, a_).event_waiters, 0u);
}

// Each event is heard by a waiter that looks again after each.
TEST_F(EventWaitTest, NoneIsMissedByALoop) {
  constexpr uint64_t kEventsRaised = 2000;
  std::atomic<uint64_t>& count =
      test::group_at(segment_, a_).events[static_cast<int>(Event::kMax)];
  uint64_t counted = 0;
  std::thread waiter([&] {
    uint64_t seen = 0;
    while (counted < kEventsRaised && wait(a_, seen, kLong) == 0) {
      seen = now(a_);
      counted = count;
    }
  });
  for (uint64_t i = 0; i < kEventsRaised; ++i) {
    memcg_memory_event(segment_, b_, Event::kMax);
  }
  waiter.join();
  EXPECT_EQ(counted, kEventsRaised);
}

TEST_F(EventWaitTest, AGroupThatIsRemoved) {
  int result = -1;
  std::thread waiter([&] { result = wait(b_, now(b_), kLong); });
  EXPECT_TRUE(somebody_waits(b_));
  const uint64_t since = sys::monotonic_ns();
  EXPECT_EQ(remove_group_at(segment_, "/a/b"), 0);
  waiter.join();
  EXPECT_EQ(result, ENODEV);
  EXPECT_LT(sys::monotonic_ns() - since, 900 * kMs);  // it was told
}

TEST_F(EventWaitTest, AnotherGroupInItsRow) {
  const uint64_t id = group_id(segment_, b_);
  ASSERT_EQ(remove_group_at(segment_, "/a/b"), 0);
  ASSERT_EQ(test::make_group(segment_, "/a/c"), b_);
  EXPECT_EQ(wait_for_event(segment_, b_, id, 0, kLong), ENODEV);
}

TEST_F(EventWaitTest, ASignalHandlerEndsIt) {
  struct sigaction action = {}, before;
  action.sa_handler = [](int) {};
  action.sa_flags = SA_RESTART;
  ASSERT_EQ(sigaction(SIGUSR1, &action, &before), 0);
  std::atomic<bool> done{false};
  int result = -1;
  std::thread waiter([&] {
    result = wait(a_, now(a_), kLong);
    done = true;
  });
  EXPECT_TRUE(somebody_waits(a_));
  while (!done) {
    pthread_kill(waiter.native_handle(), SIGUSR1);
    sys::sleep_ns(kMs);
  }
  waiter.join();
  EXPECT_EQ(result, EINTR);
  sigaction(SIGUSR1, &before, nullptr);
}

class EventWaitDomainTest : public test::FileSegmentTest {};

// A waiter that is killed leaves nothing that would keep others from waiting.
TEST_F(EventWaitDomainTest, AcrossProcesses) {
  const uint32_t group = test::make_group(domain_, "/a");
  const uint64_t id = group_id(domain_, group);
  const uint64_t seen = event_generation(domain_, group);
  Group& row = test::group_at(domain_, group);
  auto wait_in_child = [&] {
    Segment mine;
    const char* why;
    EXPECT_EQ(mine.attach_file(path_.c_str(), &why), 0);
    EXPECT_EQ(wait_for_event(mine, group, id, seen, kLong), 0);
  };
  test::Child killed(wait_in_child);
  EXPECT_TRUE(test::wait_until([&] { return row.event_waiters != 0; }));
  killed.kill();
  row.event_waiters = 0;
  test::Child child(wait_in_child);
  EXPECT_TRUE(test::wait_until([&] { return row.event_waiters != 0; }));
  memcg_memory_event(domain_, group, Event::kOom);
  EXPECT_EQ(child.wait(), 0);
  EXPECT_EQ(row.event_waiters, 0u);
}

}  // namespace
}  // namespace umemcg
