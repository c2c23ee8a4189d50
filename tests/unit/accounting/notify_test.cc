#include "accounting/notify.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "accounting/liveness.h"
#include "accounting/process.h"
#include "base/sys.h"
#include "tests/unit/accounting/fixture.h"
#include "tests/unit/support/child.h"

namespace umemcg {
namespace {

constexpr uint64_t kMs = 1'000'000;
constexpr uint64_t kLong = 10'000 * kMs;

class NotifyTest : public test::PrivateSegmentTest {};

TEST_F(NotifyTest, SleepsAsLongAsThereIsNone) {
  const uint64_t since = sys::monotonic_ns();
  sleep_for_news(segment_, news(segment_), 20 * kMs);
  EXPECT_GE(sys::monotonic_ns() - since, 19 * kMs);
}

TEST_F(NotifyTest, NewsOfBeforeIsNotSleptThrough) {
  const uint32_t seen = news(segment_);
  notify_listeners(segment_);
  const uint64_t since = sys::monotonic_ns();
  sleep_for_news(segment_, seen, kLong);
  EXPECT_LT(sys::monotonic_ns() - since, kLong / 2);
}

TEST_F(NotifyTest, EveryPieceIsFollowedByALook) {
  constexpr int kPieces = 5000;
  std::atomic<int> told{0};
  int looked_at = 0;
  std::thread worker([&] {
    while (looked_at < kPieces) {
      const uint32_t seen = news(segment_);
      looked_at = told;
      if (looked_at < kPieces) sleep_for_news(segment_, seen, kLong);
    }
  });
  const uint64_t since = sys::monotonic_ns();
  for (int i = 0; i < kPieces; ++i) {
    ++told;
    notify_listeners(segment_);
  }
  worker.join();
  EXPECT_LT(sys::monotonic_ns() - since, kLong / 2);  // none was slept through
}

TEST_F(NotifyTest, WhoWakesTakesTheMarkAway) {
  SegmentHeader& header = segment_.header();
  header.notify_waiters = 1;  // of a worker that was killed
  notify_listeners(segment_);
  EXPECT_EQ(header.notify_waiters, 0u);
}

class NotifyDomainTest : public test::FileSegmentTest {};

TEST_F(NotifyDomainTest, MarksOfADeadWorkerGo) {
  const uint32_t group = test::make_group(domain_, "/a");
  Group& row = test::group_at(domain_, group);
  test::Child child([&] {
    const char* why;
    EXPECT_EQ(g_segment.attach_file(path_.c_str(), &why), 0);
    EXPECT_EQ(attach_process(group, "child"), 0);
    g_segment.process(this_process())->flags = kProcessWorker;
    g_segment.group(group)->thresholds = 1;
    g_segment.group(group)->pressure.listeners = 1;
    g_segment.group(group)->psi.triggers = 1;
    g_segment.header().thresholds = 1;
  });
  EXPECT_EQ(child.wait(), 0);
  const uint32_t seen = news(domain_);
  EXPECT_EQ(row.thresholds, 1u);
  EXPECT_EQ(reap_dead_processes(domain_), 1u);
  EXPECT_EQ(row.thresholds, 0u);
  EXPECT_EQ(row.pressure.listeners, 0u);
  EXPECT_EQ(row.psi.triggers, 0u);
  EXPECT_EQ(domain_.header().thresholds, 0u);
  EXPECT_NE(news(domain_), seen);  // those who live say again that they listen
}

}  // namespace
}  // namespace umemcg
