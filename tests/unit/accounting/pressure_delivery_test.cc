#include "accounting/pressure_delivery.h"

#include <gtest/gtest.h>

#include <tuple>
#include <vector>

#include "tests/unit/accounting/fixture.h"

namespace umemcg {
namespace {

using enum PressureLevel;
using enum PressureMode;

TEST(PressureBit, IsOneOfItsOwn) {
  uint32_t all = 0;
  for (int level = 0; level < kPressureLevels; ++level) {
    for (int mode = 0; mode < kPressureModes; ++mode) {
      const uint32_t bit = pressure_bit(static_cast<PressureLevel>(level),
                                        static_cast<PressureMode>(mode));
      EXPECT_EQ(all & bit, 0u);
      all |= bit;
    }
  }
  EXPECT_EQ(all, (1u << kPressureLevels * kPressureModes) - 1);
}

TEST(PressureDelivery, InItsOwnGroupByLevelAlone) {
  const PressureDelivery delivery(kMedium);
  for (PressureMode mode : {kDefault, kHierarchy, kLocal}) {
    EXPECT_TRUE(delivery.reaches(kLow, mode));
    EXPECT_TRUE(delivery.reaches(kMedium, mode));
    EXPECT_FALSE(delivery.reaches(kCritical, mode));
  }
}

TEST(PressureDelivery, AboveAGroupThatNobodyListensTo) {
  PressureDelivery delivery(kMedium);
  delivery.go_up(0);
  EXPECT_TRUE(delivery.reaches(kMedium, kDefault));
  EXPECT_TRUE(delivery.reaches(kMedium, kHierarchy));
  EXPECT_FALSE(delivery.reaches(kMedium, kLocal));
}

TEST(PressureDelivery, DefaultStopsAboveAGroupThatWasTold) {
  for (PressureMode told : {kDefault, kHierarchy, kLocal}) {
    PressureDelivery delivery(kMedium);
    delivery.go_up(pressure_bit(kMedium, told));
    for (int level = 0; level < 2; ++level) {
      EXPECT_FALSE(delivery.reaches(kLow, kDefault));
      EXPECT_TRUE(delivery.reaches(kLow, kHierarchy));
      EXPECT_FALSE(delivery.reaches(kLow, kLocal));
      delivery.go_up(0);
    }
  }
}

// A listener for more than there is has not been told.
TEST(PressureDelivery, OnlyWhoIsToldStopsIt) {
  PressureDelivery delivery(kMedium);
  delivery.go_up(pressure_bit(kCritical, kDefault));
  EXPECT_TRUE(delivery.reaches(kMedium, kDefault));
  delivery.go_up(pressure_bit(kLow, kLocal));  // not of its own group
  EXPECT_TRUE(delivery.reaches(kMedium, kDefault));
  delivery.go_up(pressure_bit(kLow, kHierarchy));
  EXPECT_FALSE(delivery.reaches(kMedium, kDefault));
}

class PressureWindowsTest : public test::PrivateSegmentTest {
 protected:
  using Told = std::tuple<uint32_t, PressureLevel, uint64_t>;

  void SetUp() override {
    PrivateSegmentTest::SetUp();
    a_ = test::make_group(segment_, "/a");
    end(a_, kLow, 7);
    ASSERT_EQ(windows_.begin(segment_), 0);
  }
  void TearDown() override {
    windows_.end();
    PrivateSegmentTest::TearDown();
  }
  // Windows of that level end.
  void end(uint32_t group, PressureLevel level, uint64_t count) {
    test::group_at(segment_, group).pressure.windows[static_cast<int>(level)] +=
        count;
  }
  std::vector<Told> look() {
    std::vector<Told> told;
    windows_.look(segment_,
                  [&](uint32_t group, PressureLevel level, uint64_t count) {
                    told.emplace_back(group, level, count);
                  });
    return told;
  }

  PressureWindows windows_;
  uint32_t a_ = kNone;
};

TEST_F(PressureWindowsTest, CountFromTheirBeginning) {
  EXPECT_EQ(look(), std::vector<Told>());
  end(a_, kLow, 1);
  end(a_, kCritical, 2);
  EXPECT_EQ(look(), (std::vector<Told>{{a_, kLow, 1}, {a_, kCritical, 2}}));
  EXPECT_EQ(look(), std::vector<Told>());
}

TEST_F(PressureWindowsTest, OfAGroupThatIsMadeLaterAll) {
  const uint32_t b = test::make_group(segment_, "/b");
  end(b, kMedium, 3);
  EXPECT_EQ(look(), (std::vector<Told>{{b, kMedium, 3}}));
  // Another group in its row has windows of its own.
  ASSERT_EQ(remove_group_at(segment_, "/b"), 0);
  ASSERT_EQ(test::make_group(segment_, "/c"), b);
  end(b, kMedium, 2);
  EXPECT_EQ(look(), (std::vector<Told>{{b, kMedium, 2}}));
}

TEST_F(PressureWindowsTest, ACountThatFellIsDamage) {
  test::group_at(segment_, a_).pressure.windows[0] = 3;
  EXPECT_EQ(look(), std::vector<Told>());
  end(a_, kLow, 1);
  EXPECT_EQ(look(), (std::vector<Told>{{a_, kLow, 1}}));
}

}  // namespace
}  // namespace umemcg
