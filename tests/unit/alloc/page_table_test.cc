#include "alloc/page_table.h"

#include <gtest/gtest.h>

#include <atomic>
#include <bit>
#include <cerrno>
#include <thread>

#include "tests/unit/alloc/range_support.h"

namespace umemcg {
namespace {

// Address space that no test maps: rows may be made for it all the same.
constexpr uintptr_t kFar = uintptr_t{0x5a} << 40;
constexpr size_t kLeafSize = size_t{1} << 32;

TEST(SliceWordTest, FieldsDoNotTouchEachOther) {
  SliceWord word = SliceWord()
                       .with_used(0xa5a5)
                       .with_cached(0x1248)
                       .with_owner(0xabcdef)
                       .with_purging(true)
                       .with_queued(true)
                       .with_refault(true)
                       .with_compound(true);
  EXPECT_EQ(0xa5a5u, word.used());
  EXPECT_EQ(0x1248u, word.cached());
  EXPECT_EQ(0xabcdefu, word.owner());
  EXPECT_TRUE(word.purging() && word.queued() && word.refault() &&
              word.compound());
  word = word.with_used(0).with_compound(false).with_queued(false);
  EXPECT_EQ(0u, word.used());
  EXPECT_EQ(0x1248u, word.cached());
  EXPECT_EQ(0xabcdefu, word.owner());
  EXPECT_TRUE(word.purging() && !word.queued() && word.refault() &&
              !word.compound());
  word = word.with_cached(0).with_owner(0).with_purging(false);
  EXPECT_EQ(SliceWord().with_refault(true).bits(), word.bits());
}

TEST(SliceWordTest, TakesTheMarksOfAnotherButNotItsState) {
  SliceWord other = SliceWord()
                        .with_owner(9)
                        .with_cached(1)
                        .with_refault(true)
                        .with_purging(true)
                        .with_queued(true)
                        .with_compound(true);
  SliceWord word = SliceWord().with_owner(3).with_used(7).with_marks_of(other);
  EXPECT_EQ(
      SliceWord().with_owner(3).with_used(7).with_queued(true).with_compound(
          true),
      word);
}

TEST(ChunkGateTest, LetsManyInOrOnePurger) {
  ChunkGate gate{};
  gate.enter();
  gate.enter();
  EXPECT_FALSE(gate.try_enter_alone());
  gate.leave();
  EXPECT_FALSE(gate.try_enter_alone());
  gate.leave();
  EXPECT_TRUE(gate.try_enter_alone());
  EXPECT_FALSE(gate.try_enter_alone());
  gate.leave_alone();
  EXPECT_TRUE(gate.try_enter_alone());
  gate.reset();
  gate.enter();
  gate.leave();
}

TEST(ChunkGateTest, WhoComesWaitsForThePurger) {
  ChunkGate gate{};
  ASSERT_TRUE(gate.try_enter_alone());
  std::atomic<int> inside{0};
  std::thread first([&] {
    gate.enter();
    inside.fetch_add(1);
    gate.leave();
  });
  std::thread second([&] {
    gate.enter_alone();
    inside.fetch_add(1);
    gate.leave_alone();
  });
  sys::sleep_ns(10'000'000);
  EXPECT_EQ(0, inside.load());
  gate.leave_alone();
  first.join();
  second.join();
  EXPECT_EQ(2, inside.load());
}

TEST(PageMaskTest, HoldsThePagesOfTheRangeInTheSlice) {
  constexpr uintptr_t kSlice = 7 * kSliceSize;
  struct Row {
    uintptr_t from;
    uintptr_t to;
    uint32_t mask;
  };
  for (Row row : {Row{kSlice, kSlice + kSliceSize, 0xffff},
                  Row{0, 100 * kSliceSize, 0xffff},
                  Row{kSlice, kSlice + kPageSize, 0x0001},
                  Row{kSlice + 15 * kPageSize, kSlice + 30 * kPageSize, 0x8000},
                  Row{0, kSlice + 3 * kPageSize, 0x0007},
                  Row{kSlice + 2 * kPageSize, kSlice + 5 * kPageSize, 0x001c},
                  Row{kSlice + kPageSize, kSlice + kPageSize, 0}}) {
    EXPECT_EQ(row.mask, page_mask(kSlice, row.from, row.to))
        << row.from << ' ' << row.to;
  }
}

TEST(PageMaskTest, CountsThePagesOfEveryMask) {
  for (uint32_t mask = 0; mask <= 0xffff; ++mask) {
    ASSERT_EQ(std::popcount(mask), pages_in(mask)) << mask;
  }
}

TEST(PageTableTest, HasNoRowsWhereNothingWasMapped) {
  EXPECT_EQ(nullptr, find_slice(0));
  EXPECT_EQ(nullptr, find_slice(UINT32_MAX));
  int on_the_stack = 0;
  EXPECT_EQ(nullptr, find_slice_of(&on_the_stack));
}

TEST(PageTableTest, HasAReservedRowForEverySliceOfARange) {
  TestRange range(40);
  for (size_t n = 0; n < 40; ++n) {
    EXPECT_EQ(0u, range.word(n).bits());
    EXPECT_EQ(&range.slice(n), find_slice_of(range.data(16 * n + 15)));
  }
}

TEST(PageTableTest, ARangeMayCrossLeaves) {
  ASSERT_TRUE(map_page_table(kFar + kLeafSize - kSliceSize, 2 * kSliceSize));
  Slice* low = find_slice(slice_number(kFar + kLeafSize - kSliceSize));
  Slice* high = find_slice(slice_number(kFar + kLeafSize));
  ASSERT_NE(nullptr, low);
  ASSERT_NE(nullptr, high);
  EXPECT_NE(low + 1, high);
  EXPECT_EQ(nullptr, find_slice(slice_number(kFar + 2 * kLeafSize)));
}

TEST(PageTableTest, MappingTwiceKeepsTheRows) {
  constexpr uintptr_t kStart = kFar + 8 * kLeafSize;
  ASSERT_TRUE(map_page_table(kStart, kSliceSize));
  Slice* slice = find_slice(slice_number(kStart));
  slice->store(SliceWord().with_refault(true));
  CountCalls maps(FailCalls::kMap);
  ASSERT_TRUE(map_page_table(kStart, kSliceSize));
  EXPECT_EQ(0, maps.seen());
  EXPECT_EQ(slice, find_slice(slice_number(kStart)));
  EXPECT_TRUE(slice->load().refault());
}

TEST(PageTableTest, AnEmptyRangeIsMappedAndOneBeyondTheTableIsNot) {
  EXPECT_TRUE(map_page_table(kFar, 0));
  EXPECT_FALSE(
      map_page_table((uintptr_t{1} << 47) - kSliceSize, 2 * kSliceSize));
  EXPECT_FALSE(map_page_table(uintptr_t{1} << 50, kSliceSize));
}

TEST(PageTableTest, SaysThatThereIsNoMemoryForALeaf) {
  constexpr uintptr_t kStart = kFar + 16 * kLeafSize;
  {
    FailCalls maps(FailCalls::kMap, ENOMEM, 2);
    EXPECT_FALSE(map_page_table(kStart, 2 * kLeafSize));
  }
  EXPECT_EQ(nullptr, find_slice(slice_number(kStart + kLeafSize)));
  EXPECT_TRUE(map_page_table(kStart, 2 * kLeafSize));
  EXPECT_NE(nullptr, find_slice(slice_number(kStart + kLeafSize)));
}

TEST(PageTableTest, CountsTheOwnersPages) {
  TestRange range(3);
  constexpr uint32_t kOwner = 0xfffff1;
  constexpr uint32_t kOther = 0xfffff2;
  range.slice(0).store(SliceWord().with_owner(kOwner).with_used(0x00ff));
  range.slice(1).store(
      SliceWord().with_owner(kOwner).with_used(1).with_cached(0x7000));
  range.slice(2).store(SliceWord().with_owner(kOther).with_used(0xffff));
  PageTotals own = count_pages(kOwner);
  EXPECT_EQ(9, own.used);
  EXPECT_EQ(3, own.cached);
  PageTotals all = count_pages(0);
  EXPECT_EQ(25, all.used);
  EXPECT_EQ(3, all.cached);
  for (size_t n = 0; n < 3; ++n) range.slice(n).store(SliceWord());
}

}  // namespace
}  // namespace umemcg
