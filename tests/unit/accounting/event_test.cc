#include "accounting/event.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "tests/unit/accounting/fixture.h"

namespace umemcg {
namespace {

class EventTest : public test::PrivateSegmentTest {
 protected:
  void SetUp() override {
    PrivateSegmentTest::SetUp();
    a_ = test::make_group(segment_, "/a");
    b_ = test::make_group(segment_, "/a/b");
    c_ = test::make_group(segment_, "/a/c");
  }
  uint64_t local(uint32_t group, Event event) {
    return segment_.group(group)->events_local[static_cast<int>(event)];
  }
  uint64_t whole(uint32_t group, Event event) {
    return segment_.group(group)->events[static_cast<int>(event)];
  }

  uint32_t a_ = kNone, b_ = kNone, c_ = kNone;
};

TEST_F(EventTest, CountsForTheGroupAndItsAncestorsBelowTheRoot) {
  memcg_memory_event(segment_, b_, Event::kMax);
  EXPECT_EQ(local(b_, Event::kMax), 1u);
  EXPECT_EQ(whole(b_, Event::kMax), 1u);
  EXPECT_EQ(local(a_, Event::kMax), 0u);
  EXPECT_EQ(whole(a_, Event::kMax), 1u);
  EXPECT_EQ(local(kRootGroup, Event::kMax), 0u);
  EXPECT_EQ(whole(kRootGroup, Event::kMax), 0u);
  EXPECT_EQ(whole(c_, Event::kMax), 0u);
}

TEST_F(EventTest, SumsSiblings) {
  memcg_memory_event(segment_, b_, Event::kOom);
  memcg_memory_event(segment_, c_, Event::kOom);
  memcg_memory_event(segment_, a_, Event::kOom);
  EXPECT_EQ(whole(a_, Event::kOom), 3u);
  EXPECT_EQ(local(a_, Event::kOom), 1u);
  EXPECT_EQ(whole(b_, Event::kOom), 1u);
}

TEST_F(EventTest, KeepsTheKindsApart) {
  for (int e = 0; e < kEvents; ++e) {
    for (int i = 0; i <= e; ++i) {
      memcg_memory_event(segment_, b_, static_cast<Event>(e));
    }
  }
  for (int e = 0; e < kEvents; ++e) {
    EXPECT_EQ(whole(a_, static_cast<Event>(e)), static_cast<uint64_t>(e) + 1);
  }
}

// memory.events is no file of the root; memory.events.local is accounted.
TEST_F(EventTest, OnTheRootOnlyTheLocalOneIsCounted) {
  memcg_memory_event(segment_, kRootGroup, Event::kHigh);
  EXPECT_EQ(local(kRootGroup, Event::kHigh), 1u);
  EXPECT_EQ(whole(kRootGroup, Event::kHigh), 0u);
}

TEST_F(EventTest, AGroupThatDoesNotExistIsIgnored) {
  memcg_memory_event(segment_, kNone, Event::kMax);
  memcg_memory_event(segment_, test::kSmall.groups, Event::kMax);
}

TEST_F(EventTest, LosesNoneUnderContention) {
  std::vector<std::thread> threads;
  for (uint32_t group : {b_, c_, a_}) {
    threads.emplace_back([&, group] {
      for (int i = 0; i < 10000; ++i) {
        memcg_memory_event(segment_, group, Event::kLow);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(whole(a_, Event::kLow), 30000u);
}

TEST(EventNames, AreTheKernels) {
  EXPECT_STREQ(kEventNames[static_cast<int>(Event::kLow)], "low");
  EXPECT_STREQ(kEventNames[static_cast<int>(Event::kHigh)], "high");
  EXPECT_STREQ(kEventNames[static_cast<int>(Event::kMax)], "max");
  EXPECT_STREQ(kEventNames[static_cast<int>(Event::kOom)], "oom");
  EXPECT_STREQ(kEventNames[static_cast<int>(Event::kOomKill)], "oom_kill");
  EXPECT_STREQ(kEventNames[static_cast<int>(Event::kOomGroupKill)],
               "oom_group_kill");
}

}  // namespace
}  // namespace umemcg
