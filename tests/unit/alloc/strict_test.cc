// Strict mode, where pages become accessible as they are committed: the system
// may refuse, and then the charge is cancelled.

#include <sys/mman.h>
#include <unistd.h>

#include "alloc/cached.h"
#include "alloc/commit.h"
#include "tests/unit/alloc/alloc_fixture.h"

namespace umemcg {
namespace {

class StrictTest : public AllocTest {
 protected:
  void SetUp() override {
    AllocTest::SetUp();
    set_commit_protects(true);
    set_purge_protects(true);
  }
  static void close(const TestRange& range) {
    ASSERT_EQ(
        0, sys::protect(range.data(0), range.pages() * kPageSize, PROT_NONE));
  }
};

// Whether the page can be written.
bool accessible(const TestRange& range, size_t page) {
  int fds[2];
  EXPECT_EQ(0, pipe(fds));
  bool readable = write(fds[1], range.data(page), 1) == 1;
  ::close(fds[0]);
  ::close(fds[1]);
  return readable;
}

TEST_F(StrictTest, CommitOpensAndPurgeCloses) {
  TestRange range(2);
  close(range);
  EXPECT_FALSE(accessible(range, 0));
  ASSERT_TRUE(range.commit(0, 20));
  *range.data(19) = 'x';
  EXPECT_FALSE(accessible(range, 20));
  range.decommit(0, 20);
  EXPECT_TRUE(accessible(range, 19));
  EXPECT_EQ(20, purge_all(*account_));
  EXPECT_FALSE(accessible(range, 0));
  EXPECT_FALSE(accessible(range, 19));
  ASSERT_TRUE(range.commit(0, 20));
  EXPECT_EQ(0, *range.data(19));
  expect_consistent(*account_);
}

TEST_F(StrictTest, ARefusedCommitIsCancelled) {
  TestRange range(3);
  close(range);
  ASSERT_TRUE(range.commit(0, 4));
  {
    FailCalls protect(FailCalls::kProtect, ENOMEM);
    EXPECT_FALSE(range.commit(0, 40));
    EXPECT_EQ(1, protect.seen());
  }
  EXPECT_FALSE(t_charge_record.armed);  // no reclaim would help
  EXPECT_EQ(4, usage(*account_));
  EXPECT_EQ(0x000fu, range.word(0).used());
  EXPECT_EQ(0u, range.word(1).bits());
  expect_consistent(*account_);
  EXPECT_TRUE(range.commit(0, 40));
  EXPECT_EQ(40, usage(*account_));
  expect_consistent(*account_);
}

TEST_F(StrictTest, CachedPagesAreGivenBackBeforeTheSystemMayRefuse) {
  TestRange range(3);
  ASSERT_TRUE(range.commit(0, 16));
  range.decommit(0, 16);
  {
    FailCalls protect(FailCalls::kProtect, ENOMEM, 1, 1);
    EXPECT_TRUE(range.commit(16, 16));
  }
  EXPECT_EQ(0u, range.word(0).cached());
  EXPECT_EQ(16, usage(*account_));
  expect_consistent(*account_);
}

TEST_F(StrictTest, ARefusedReuseOfCachedPagesChargesNothing) {
  TestRange range(1);
  ASSERT_TRUE(range.commit(0, 16));
  range.decommit(0, 16);
  {
    FailCalls protect(FailCalls::kProtect, ENOMEM);
    EXPECT_FALSE(range.commit(0, 16));
  }
  EXPECT_EQ(0u, range.word(0).used());
  expect_consistent(*account_);
}

TEST_F(StrictTest, ARefusedCommitOfAReservationGivesItBack) {
  account_->counter.load()->store_max(8);
  TestRange range(1);
  account_charge(*account_, 8);
  reserve_pages(*account_, 8);
  {
    FailCalls protect(FailCalls::kProtect, ENOMEM);
    EXPECT_FALSE(range.commit(0, 8));
  }
  EXPECT_EQ(0, usage(*account_));
  expect_consistent(*account_);
}

TEST_F(StrictTest, PagesThatCannotBeClosedAreGivenBackAllTheSame) {
  TestRange range(1);
  ASSERT_TRUE(range.commit(0, 16));
  *range.data(3) = 'x';
  range.decommit(0, 16);
  {
    FailCalls protect(FailCalls::kProtect, ENOMEM);
    EXPECT_EQ(16, purge_all(*account_));
  }
  EXPECT_EQ(0, usage(*account_));
  ASSERT_TRUE(range.commit(0, 16));
  EXPECT_EQ(0, *range.data(3));
  expect_consistent(*account_);
}

TEST_F(StrictTest, PagesThatCannotBeGivenBackStayOpen) {
  TestRange range(1);
  ASSERT_TRUE(range.commit(0, 16));
  *range.data(3) = 'x';
  range.decommit(0, 16);
  {
    FailCalls advise(FailCalls::kAdvise, EINVAL);
    EXPECT_EQ(0, purge_all(*account_));
  }
  EXPECT_TRUE(accessible(range, 3));
  ASSERT_TRUE(range.commit(0, 16));
  EXPECT_EQ('x', *range.data(3));
  expect_consistent(*account_);
}

TEST_F(StrictTest, WithoutItNothingIsProtected) {
  set_commit_protects(false);
  set_purge_protects(false);
  TestRange range(1);
  CountCalls protect(FailCalls::kProtect);
  ASSERT_TRUE(range.commit(0, 16));
  range.decommit(0, 16);
  purge_all(*account_);
  EXPECT_EQ(0, protect.seen());
}

}  // namespace
}  // namespace umemcg
