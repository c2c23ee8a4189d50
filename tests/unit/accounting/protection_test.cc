// Effective protection by hand-worked trees; the kernel's own results are
// replayed from tests/vectors.

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "accounting/page_counter.h"

namespace umemcg {
namespace {

// root
//  `- a     the parent of
//     |- b
//     `- c
class ProtectionTest : public testing::Test {
 protected:
  void SetUp() override {
    root_.init(nullptr, true);
    a_.init(&root_, true);
    b_.init(&a_, true);
    c_.init(&a_, true);
  }
  void walk(bool recursive) {
    for (PageCounter* counter : {&root_, &a_, &b_, &c_}) {
      counter->calculate_protection(&root_, recursive);
    }
  }

  PageCounter root_, a_, b_, c_;
};

TEST_F(ProtectionTest, BelowTheTargetItIsTheSettingItself) {
  a_.set_min(10);
  a_.set_low(1000);
  b_.charge(5);
  walk(false);
  EXPECT_EQ(a_.emin(), 10);  // not capped by the usage
  EXPECT_EQ(a_.elow(), 1000);
}

TEST_F(ProtectionTest, TheTargetsOwnIsIgnored) {
  a_.set_low(100);
  b_.set_low(50);
  b_.charge(60);
  a_.calculate_protection(&a_, false);
  EXPECT_EQ(a_.elow(), 0);
  b_.calculate_protection(&a_, false);
  EXPECT_EQ(b_.elow(), 50);
}

TEST_F(ProtectionTest, NoUsageKeepsTheOldValues) {
  a_.set_low(100);
  b_.set_low(50);
  b_.charge(60);
  walk(false);
  ASSERT_EQ(b_.elow(), 50);
  b_.uncharge(60);
  b_.set_low(7);
  walk(false);
  EXPECT_EQ(b_.elow(), 50);
}

TEST_F(ProtectionTest, DeeperItIsAtMostWhatIsUsed) {
  a_.set_low(100);
  b_.set_low(50);
  b_.charge(20);
  c_.charge(1);
  walk(false);
  EXPECT_EQ(b_.elow(), 20);
  EXPECT_EQ(c_.elow(), 0);
}

TEST_F(ProtectionTest, MoreClaimsThanTheParentHasAreSharedInProportion) {
  a_.set_min(100);
  b_.set_min(150);
  c_.set_min(50);
  b_.charge(200);
  c_.charge(50);
  walk(false);
  EXPECT_EQ(b_.emin(), 150 * 100 / 200);
  EXPECT_EQ(c_.emin(), 50 * 100 / 200);
  EXPECT_EQ(b_.elow(), 0);
}

TEST_F(ProtectionTest, AParentWithoutProtectionHasNoneToGive) {
  b_.set_min(50);
  b_.charge(50);
  walk(false);
  EXPECT_EQ(b_.emin(), 0);
}

TEST_F(ProtectionTest, RecursivelyTheUnclaimedGoesToTheUnprotected) {
  a_.set_low(100);
  b_.set_low(20);
  b_.charge(80);
  c_.charge(60);
  walk(true);
  // 80 are unclaimed; 60 of b and 60 of c are unprotected.
  EXPECT_EQ(b_.elow(), 20 + 80 * 60 / 120);
  EXPECT_EQ(c_.elow(), 80 * 60 / 120);
  walk(false);
  EXPECT_EQ(b_.elow(), 20);
  EXPECT_EQ(c_.elow(), 0);
}

TEST_F(ProtectionTest, ACounterWithoutParentOtherThanTheTargetIsLeftAlone) {
  PageCounter other;
  other.init(nullptr, true);
  other.set_low(5);
  other.charge(5);
  other.calculate_protection(&root_, true);
  EXPECT_EQ(other.elow(), 0);
}

// What reclaim reads, without storing anything, is what the kernel's walk
// stores.
TEST_F(ProtectionTest, UnderARootItIsWhatAWalkFindsThere) {
  std::mt19937 random(1);
  auto up_to = [&](int64_t most) {
    return static_cast<int64_t>(random() % static_cast<uint64_t>(most + 1));
  };
  for (int round = 0; round < 2000; ++round) {
    for (PageCounter* counter : {&a_, &b_, &c_}) {
      counter->set_min(up_to(60));
      counter->set_low(up_to(60));
      counter->uncharge(counter == &a_ ? 0 : counter->usage());
    }
    b_.charge(1 + up_to(50));
    c_.charge(1 + up_to(50));
    const bool recursive = round % 2 == 0;
    walk(recursive);
    for (PageCounter* counter : {&a_, &b_, &c_}) {
      const auto found = counter->effective_protection_under(root_, recursive);
      const int64_t used = counter->usage();
      EXPECT_EQ(std::min(found.min, used), std::min(counter->emin(), used));
      EXPECT_EQ(std::min(found.low, used), std::min(counter->elow(), used));
    }
    const auto itself = a_.effective_protection_under(a_, recursive);
    EXPECT_EQ(itself.min, 0);
    EXPECT_EQ(itself.low, 0);
  }
}

TEST_F(ProtectionTest, UnderARootNothingWraps) {
  a_.set_min(kPageCounterMax);
  a_.set_low(kPageCounterMax);
  b_.charge(int64_t{1} << 30);
  c_.charge(int64_t{1} << 30);
  for (const PageCounter* counter : {&b_, &c_}) {
    const auto found = counter->effective_protection_under(root_, true);
    EXPECT_EQ(found.min, int64_t{1} << 30);
    EXPECT_EQ(found.low, int64_t{1} << 30);
  }
}

TEST_F(ProtectionTest, UnderACounterThatIsNotAboveNothingIsProtected) {
  a_.set_min(10);
  b_.set_min(10);
  b_.charge(10);
  EXPECT_EQ(a_.effective_protection_under(b_, true).min, 0);
  EXPECT_EQ(c_.effective_protection_under(b_, true).min, 0);
}

// As in the kernel's unsigned long; no trap in a sanitizer build either.
TEST_F(ProtectionTest, ProductsWrap) {
  a_.set_low(kPageCounterMax);
  b_.charge(10000);
  walk(true);
  const uint64_t share =
      static_cast<uint64_t>(kPageCounterMax) * 10000u / 10000u;
  EXPECT_EQ(static_cast<uint64_t>(b_.elow()), share);
}

}  // namespace
}  // namespace umemcg
