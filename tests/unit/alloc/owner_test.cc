// Slices that another account has pages in.

#include <sys/mman.h>

#include "alloc/commit.h"
#include "tests/unit/alloc/alloc_fixture.h"

namespace umemcg {
namespace {

class OwnerTest : public AllocTest {
 protected:
  void SetUp() override {
    AllocTest::SetUp();
    other_ = &new_account();
  }

  // Pages that the other account had and gave back, with something in them.
  void cache_as_other(const TestRange& range, size_t page, size_t count) {
    ChargingScope scope(*other_);
    ASSERT_TRUE(range.commit(page, count));
    for (size_t i = page; i < page + count; ++i) *range.data(i) = 's';
    range.decommit(page, count);
  }

  Account* other_ = nullptr;
};

TEST_F(OwnerTest, CachedPagesOfAnotherAreUnchargedAndTheirContentsDropped) {
  TestRange range(1);
  cache_as_other(range, 0, 16);
  bool is_zero = false;
  ASSERT_TRUE(range.commit(0, 16, &is_zero));
  EXPECT_TRUE(is_zero);
  for (size_t i = 0; i < 16; ++i) EXPECT_EQ(0, *range.data(i));
  EXPECT_EQ(0, usage(*other_));
  EXPECT_EQ(16, usage(*account_));
  EXPECT_EQ(account_->id, range.word(0).owner());
  EXPECT_EQ(16, stat_of(*other_, Stat::kPurged));
  expect_consistent(*account_);
  expect_consistent(*other_);
}

TEST_F(OwnerTest, TheWholeSliceChangesHands) {
  TestRange range(1);
  cache_as_other(range, 0, 16);
  ASSERT_TRUE(range.commit(3, 1));
  EXPECT_EQ(0, usage(*other_));
  EXPECT_EQ(1, usage(*account_));
  EXPECT_EQ(0x0008u, range.word(0).used());
  EXPECT_EQ(0u, range.word(0).cached());
  EXPECT_EQ(0, *range.data(9));
  expect_consistent(*other_);
}

TEST_F(OwnerTest, OtherSlicesStayTheirOwners) {
  TestRange range(3);
  cache_as_other(range, 0, 48);
  ASSERT_TRUE(range.commit(16, 16));
  EXPECT_EQ(32, usage(*other_));
  EXPECT_EQ('s', *range.data(2));
  EXPECT_EQ('s', *range.data(40));
  expect_consistent(*other_);
}

TEST_F(OwnerTest, ContentsThatWouldNotGoAreNotCalledZero) {
  TestRange range(1);
  cache_as_other(range, 0, 4);
  bool is_zero = true;
  {
    FailCalls advise(FailCalls::kAdvise, EINVAL);
    ASSERT_TRUE(range.commit(0, 4, &is_zero));
  }
  EXPECT_FALSE(is_zero);
  EXPECT_EQ(0, usage(*other_));
}

TEST_F(OwnerTest, ItsPlaceInTheQueueMovesAlong) {
  TestRange range(1);
  cache_as_other(range, 0, 16);
  ASSERT_TRUE(range.commit(0, 16));
  range.decommit(0, 16);
  EXPECT_EQ(16, usage(*account_));
  EXPECT_TRUE(range.word(0).queued());
  // It lies in the other's stack; a purge of the subtree finds it all the same.
  EXPECT_EQ(0u, account_->cached_head.load());
  EXPECT_EQ(16, purge_cached_subtree(account_->group, INT64_MAX,
                                     PurgeReason::kReclaim));
  EXPECT_EQ(0, usage(*account_));
  EXPECT_EQ(0u, range.word(0).owner());
  expect_consistent(*account_);
}

TEST_F(OwnerTest, AStackThatIsLookedThroughIsSortedOnTheWay) {
  TestRange range(2);
  cache_as_other(range, 0, 32);
  ASSERT_TRUE(range.commit(0, 16));
  range.decommit(0, 16);
  EXPECT_EQ(16, purge_all(*other_));
  EXPECT_EQ(0, usage(*other_));
  EXPECT_EQ(16, usage(*account_));
  EXPECT_EQ(16, purge_all(*account_));
  EXPECT_EQ(0, usage(*account_));
}

TEST_F(OwnerTest, MoreOfASliceThatAnotherUsesIsTheOthers) {
  other_->counter.load()->store_max(4);
  TestRange range(1);
  {
    ChargingScope scope(*other_);
    ASSERT_TRUE(range.commit(0, 4));
  }
  bool is_zero = true;
  ASSERT_TRUE(range.commit(0, 8, &is_zero));
  EXPECT_FALSE(is_zero);
  EXPECT_EQ(8, usage(*other_));  // over its limit: the slice is its
  EXPECT_EQ(0, usage(*account_));
  EXPECT_EQ(0x00ffu, range.word(0).used());
  EXPECT_EQ(other_->id, range.word(0).owner());
  expect_consistent(*other_);
  range.decommit(0, 8);
  EXPECT_EQ(8, cached_pages(*other_));
}

TEST_F(OwnerTest, TheOthersCachedPagesInASliceItUsesBecomeUsed) {
  TestRange range(1);
  {
    ChargingScope scope(*other_);
    ASSERT_TRUE(range.commit(0, 8));
    range.decommit(4, 4);
  }
  ASSERT_TRUE(range.commit(4, 4));
  EXPECT_EQ(8, usage(*other_));
  EXPECT_EQ(0, cached_pages(*other_));
  expect_consistent(*other_);
}

// The child of a fork in a domain: its parent is charged for what it got.
class InheritedTest : public OwnerTest {
 protected:
  void inherit() {
    other_->inherited.store(true);
    other_->cached_head.store(0);
    other_->cached_pages.store(0);
  }
};

TEST_F(InheritedTest, FreedPagesAreDroppedAndStayTheParents) {
  TestRange range(1);
  {
    ChargingScope scope(*other_);
    ASSERT_TRUE(range.commit(0, 8));
  }
  *range.data(0) = 's';
  inherit();
  CountCalls advise(FailCalls::kAdvise);
  range.decommit(0, 4);
  EXPECT_EQ(1, advise.seen());
  EXPECT_EQ(0, *range.data(0));
  EXPECT_EQ(0x00f0u, range.word(0).used());
  EXPECT_EQ(8, usage(*other_));
  range.decommit(0, 16);
  EXPECT_EQ(0u, range.word(0).bits());
  EXPECT_EQ(8, usage(*other_));
  EXPECT_EQ(0u, other_->cached_head.load());
}

TEST_F(InheritedTest, CachedPagesAreChargedWhenTheyAreTaken) {
  TestRange range(1);
  cache_as_other(range, 0, 8);
  inherit();
  bool is_zero = true;
  ASSERT_TRUE(range.commit(0, 8, &is_zero));
  EXPECT_FALSE(is_zero);
  EXPECT_EQ(8, usage(*account_));
  EXPECT_EQ(8, usage(*other_));
  range.decommit(0, 8);
  EXPECT_EQ(8, purge_all(*account_));
  EXPECT_EQ(0, usage(*account_));
}

TEST_F(InheritedTest, MoreOfASliceInUseIsNobodys) {
  TestRange range(1);
  {
    ChargingScope scope(*other_);
    ASSERT_TRUE(range.commit(0, 8));
  }
  inherit();
  ASSERT_TRUE(range.commit(8, 8));
  EXPECT_EQ(8, usage(*other_));
  EXPECT_EQ(0, usage(*account_));
  range.decommit(0, 16);
  EXPECT_EQ(0u, range.word(0).bits());
  EXPECT_EQ(8, usage(*other_));
}

TEST_F(InheritedTest, ReleasedPagesStayTheParents) {
  TestRange range(1);
  {
    ChargingScope scope(*other_);
    ASSERT_TRUE(range.commit(0, 8));
  }
  inherit();
  range.release(0, 16);
  EXPECT_EQ(8, usage(*other_));
  EXPECT_EQ(0u, range.word(0).bits());
}

}  // namespace
}  // namespace umemcg
