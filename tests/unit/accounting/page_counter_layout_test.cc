// Where the words of a counter lie, and links that a damaged segment holds.

#include <gtest/gtest.h>

#include <cstring>
#include <set>

#include "accounting/page_counter.h"

namespace umemcg {
namespace {

static_assert(sizeof(PageCounter) == 3 * kCacheSeparation);
static_assert(alignof(PageCounter) == kCacheSeparation);
static_assert(kCacheSeparation == 128);

constexpr size_t kWords = sizeof(PageCounter) / sizeof(int64_t);

struct Image {
  explicit Image(const PageCounter& counter) {
    std::memcpy(words, static_cast<const void*>(&counter), sizeof(words));
  }
  int64_t words[kWords];
};

// Which of the three 128-byte blocks `change` writes to.
template <typename Change>
std::set<size_t> blocks_written(const PageCounter& counter, Change change) {
  const Image before(counter);
  change();
  const Image after(counter);
  std::set<size_t> blocks;
  for (size_t i = 0; i < kWords; ++i) {
    if (before.words[i] != after.words[i]) {
      blocks.insert(i * sizeof(int64_t) / kCacheSeparation);
    }
  }
  return blocks;
}

// The word that every charge writes shares its pair of cache lines with
// nothing; what only people write lies apart from what charges write.
TEST(PageCounterLayout, SeparatesWhatDifferentWritersWrite) {
  using Blocks = std::set<size_t>;
  PageCounter family[3];
  PageCounter &root = family[0], &counter = family[1], &child = family[2];
  root.init(nullptr, true);
  counter.init(&root, true);
  child.init(&counter, true);
  PageCounter* failed;
  EXPECT_EQ(blocks_written(counter, [&] { counter.set_max(100); }),
            (Blocks{2}));
  EXPECT_EQ(blocks_written(counter, [&] { counter.set_min(50); }), (Blocks{2}));
  EXPECT_EQ(blocks_written(counter, [&] { counter.set_low(50); }), (Blocks{2}));
  EXPECT_EQ(blocks_written(counter, [&] { counter.set_reserve(1); }),
            (Blocks{2}));
  // usage; watermark and protected usage
  EXPECT_EQ(blocks_written(counter, [&] { counter.charge(90); }),
            (Blocks{0, 1}));
  // Above the protected part and below the peak only usage changes.
  EXPECT_EQ(blocks_written(counter, [&] { counter.uncharge(10); }),
            (Blocks{0}));
  EXPECT_EQ(blocks_written(counter, [&] { counter.charge(10); }), (Blocks{0}));
  EXPECT_EQ(blocks_written(counter, [&] { counter.try_charge(100, &failed); }),
            (Blocks{1}));  // failcnt
  EXPECT_EQ(blocks_written(counter, [&] { child.set_min(5); }), (Blocks{}));
  EXPECT_EQ(blocks_written(counter, [&] { child.charge(5); }), (Blocks{0, 1}));
  EXPECT_EQ(blocks_written(counter,
                           [&] { counter.calculate_protection(&root, true); }),
            (Blocks{2}));
  // Whatever has happened, the first block holds one word only.
  const Image image(counter);
  for (size_t i = 1; i < kCacheSeparation / sizeof(int64_t); ++i) {
    EXPECT_EQ(image.words[i], 0) << "word " << i;
  }
  EXPECT_EQ(image.words[0], counter.usage());
}

class PageCounterLink : public testing::Test {
 protected:
  void SetUp() override {
    for (int i = 0; i < 4; ++i) {
      family_[i].init(i > 0 ? &family_[i - 1] : nullptr, true);
    }
  }
  void TearDown() override {
    PageCounter::set_link_window(nullptr, reinterpret_cast<void*>(UINTPTR_MAX));
  }

  // Overwrites the link of a counter, as a damaged file would.
  static void damage_link(PageCounter& counter, int64_t offset) {
    const int64_t old = reinterpret_cast<char*>(counter.parent()) -
                        reinterpret_cast<char*>(&counter);
    const Image image(counter);
    for (size_t i = 0; i < kWords; ++i) {
      if (image.words[i] != old) continue;
      std::memcpy(reinterpret_cast<char*>(&counter) + i * sizeof(old), &offset,
                  sizeof(offset));
      return;
    }
    FAIL() << "no link found";
  }
  static int64_t distance(const PageCounter& from, const PageCounter& to) {
    return reinterpret_cast<const char*>(&to) -
           reinterpret_cast<const char*>(&from);
  }

  PageCounter family_[4];  // each is the parent of the next
  PageCounter* failed_ = nullptr;
};

TEST_F(PageCounterLink, OutsideTheWindowReadsAsNull) {
  PageCounter::set_link_window(&family_[1], &family_[4]);
  EXPECT_EQ(family_[1].parent(), nullptr);
  EXPECT_EQ(family_[2].parent(), &family_[1]);
  family_[3].charge(2);
  EXPECT_EQ(family_[1].usage(), 2);
  EXPECT_EQ(family_[0].usage(), 0);
  // A window that ends within a counter does not hold it.
  PageCounter::set_link_window(&family_[0],
                               reinterpret_cast<char*>(&family_[2]) - 1);
  EXPECT_EQ(family_[1].parent(), &family_[0]);
  EXPECT_EQ(family_[2].parent(), nullptr);
}

TEST_F(PageCounterLink, ThatIsMisalignedReadsAsNull) {
  damage_link(family_[2], distance(family_[2], family_[1]) + 8);
  EXPECT_EQ(family_[2].parent(), nullptr);
}

TEST_F(PageCounterLink, ThatWrapsAroundReadsAsNull) {
  PageCounter::set_link_window(&family_[0], &family_[4]);
  for (int64_t offset : {INT64_MIN, INT64_MAX & ~int64_t{127}}) {
    SetUp();
    damage_link(family_[1], offset);
    EXPECT_EQ(family_[1].parent(), nullptr) << offset;
  }
}

// A cycle ends; what was charged on the way is given back on the way.
TEST_F(PageCounterLink, InACycleEndsAndUndoesWhatItDid) {
  damage_link(family_[1], distance(family_[1], family_[3]));
  ASSERT_EQ(family_[1].parent(), &family_[3]);
  family_[3].charge(1);
  family_[3].uncharge(1);
  EXPECT_EQ(family_[3].usage(), 0);
  EXPECT_EQ(family_[2].usage(), 0);
  ASSERT_EQ(family_[3].set_max(5), 0);
  EXPECT_FALSE(family_[3].try_charge(1, &failed_));
  EXPECT_EQ(failed_, &family_[3]);
  for (PageCounter& counter : family_) EXPECT_EQ(counter.usage(), 0);
  family_[3].set_min(1);
  family_[3].set_low(1);
}

}  // namespace
}  // namespace umemcg
