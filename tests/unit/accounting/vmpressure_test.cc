#include "accounting/vmpressure.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "tests/unit/accounting/fixture.h"

namespace umemcg {
namespace {

constexpr auto kLow = PressureLevel::kLow;
constexpr auto kMedium = PressureLevel::kMedium;
constexpr auto kCritical = PressureLevel::kCritical;

struct Window {
  uint64_t scanned;
  uint64_t reclaimed;
  PressureLevel level;
};

// By hand, from the kernel's formula: with scale = scanned + reclaimed, the
// percentage is (scale - reclaimed * scale / scanned) * 100 / scale, each
// division rounded down.
constexpr Window kWindows[] = {
    {512, 0, kCritical},  // (512 - 0) * 100 / 512 = 100
    {512, 512, kLow},     // all of it
    {512, 600, kLow},     // more than was looked at
    {512, 10000, kLow},
    {512, 25, kCritical},   // 537 - 26 = 511; 51100 / 537 = 95.1
    {512, 26, kMedium},     // 538 - 27 = 511; 51100 / 538 = 94.9
    {512, 204, kMedium},    // 716 - 285 = 431; 43100 / 716 = 60.1
    {512, 205, kLow},       // 717 - 287 = 430; 43000 / 717 = 59.97
    {512, 256, kLow},       // 768 - 384 = 384; 38400 / 768 = 50
    {1000, 50, kCritical},  // 1050 - 52 = 998; 99800 / 1050 = 95.05
    {1000, 51, kMedium},    // 1051 - 53 = 998; 99800 / 1051 = 94.9
    {1000, 400, kMedium},   // 1400 - 560 = 840; 84000 / 1400 = 60
    {1000, 401, kLow},      // 1401 - 561 = 840; 84000 / 1401 = 59.9
    {2048, 1, kCritical},   // 2049 - 1 = 2048; 204800 / 2049 = 99.9
    {1, 0, kCritical},
    {1, 1, kLow},
    {0, 0, kLow},  // nothing was looked at
    {0, 7, kLow},
};

TEST(VmPressureLevelTest, RecordedWindows) {
  for (const Window& window : kWindows) {
    EXPECT_EQ(pressure_level(window.scanned, window.reclaimed), window.level)
        << window.scanned << " " << window.reclaimed;
  }
}

class VmPressureTest : public test::PrivateSegmentTest {
 protected:
  void SetUp() override {
    PrivateSegmentTest::SetUp();
    group_ = test::make_group(segment_, "/a/b");
    above_ = parent_group(segment_, group_);
  }
  VmPressure& pressure(uint32_t group) {
    return test::group_at(segment_, group).pressure;
  }
  uint64_t windows(PressureLevel level) {
    return pressure(group_).windows[static_cast<int>(level)];
  }
  uint32_t told() { return segment_.header().notify_seq; }

  uint32_t group_ = kNone, above_ = kNone;
};

TEST_F(VmPressureTest, AWindowIsFullAt512) {
  vmpressure(segment_, group_, 500, 100);
  vmpressure(segment_, group_, 0, 50);  // nothing was looked at
  vmpressure(segment_, group_, -5, 50);
  EXPECT_EQ(windows(kLow) + windows(kMedium) + windows(kCritical), 0u);
  vmpressure(segment_, group_, 12, 0);
  EXPECT_EQ(windows(kMedium), 1u);  // 100 of 512
  // The next begins empty.
  vmpressure(segment_, group_, 511, 511);
  vmpressure(segment_, group_, 1, 1);
  EXPECT_EQ(windows(kLow), 1u);
  // However much at once, it is one.
  vmpressure(segment_, group_, 100 * 512, 0);
  EXPECT_EQ(windows(kCritical), 1u);
  EXPECT_EQ(windows(kMedium) + windows(kLow), 2u);
  EXPECT_EQ(pressure(above_).windows[2], 0u) << "the target alone counts";
}

TEST_F(VmPressureTest, TheMostThatCounts) {
  vmpressure(segment_, group_, 1, INT64_MAX);
  vmpressure(segment_, group_, 510, INT64_MAX);
  vmpressure(segment_, group_, 1, INT64_MAX);
  EXPECT_EQ(windows(kLow), 1u);
  vmpressure(segment_, group_, INT64_MAX, 0);
  EXPECT_EQ(windows(kCritical), 1u);
  EXPECT_EQ(pressure(group_).window, 0u);
}

TEST_F(VmPressureTest, FromPriorityThreeOnItIsCritical) {
  for (int priority = 12; priority > 3; --priority) {
    vmpressure_prio(segment_, group_, priority);
  }
  EXPECT_EQ(windows(kCritical), 0u);
  for (int priority = 3; priority >= 0; --priority) {
    vmpressure_prio(segment_, group_, priority);
  }
  EXPECT_EQ(windows(kCritical), 4u);
}

TEST_F(VmPressureTest, WhoListensHereOrAboveIsTold) {
  const uint32_t beside = test::make_group(segment_, "/a/c");
  pressure(beside).listeners = 1;
  vmpressure(segment_, group_, 512, 0);
  EXPECT_EQ(told(), 0u);
  pressure(group_).listeners = 1;
  vmpressure(segment_, group_, 511, 0);
  EXPECT_EQ(told(), 0u);
  vmpressure(segment_, group_, 1, 0);
  EXPECT_EQ(told(), 1u);
  pressure(group_).listeners = 0;
  pressure(above_).listeners = 1;
  vmpressure(segment_, group_, 512, 512);
  EXPECT_EQ(told(), 2u);
}

// None is lost or counted twice: every 512 pages end one window.
TEST_F(VmPressureTest, ManyAtOnce) {
  constexpr int kThreads = 4, kTurns = 20'000;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([this] {
      for (int turn = 0; turn < kTurns; ++turn) {
        vmpressure(segment_, group_, 32, 16);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(windows(kLow), uint64_t{kThreads} * kTurns * 32 / 512);
  EXPECT_EQ(windows(kMedium) + windows(kCritical), 0u);
  EXPECT_EQ(pressure(group_).window, 0u);
}

}  // namespace
}  // namespace umemcg
