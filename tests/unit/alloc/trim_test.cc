// How much stays cached under a limit that several processes share.

#include "alloc/commit.h"
#include "tests/unit/alloc/alloc_fixture.h"

namespace umemcg {
namespace {

constexpr int64_t kMax = 3200;

class TrimTest : public AllocTest {
 protected:
  void SetUp() override {
    start_domain_world();
    AllocTest::SetUp();
    account_->counter.load()->store_max(kMax);
    set_processes(account_->group, 2);
  }
  static void set_processes(uint32_t group, uint32_t processes) {
    g_segment.group(group)->processes.store(processes);
  }
};

TEST_F(TrimTest, AProcessKeepsItsPartOfASixteenth) {
  TestRange range(40);
  ASSERT_TRUE(range.commit(0, 640));
  range.decommit(0, 96);
  EXPECT_EQ(96, cached_pages(*account_));  // less than 3200 / 16 / 2
  range.decommit(96, 16);
  EXPECT_EQ(96, cached_pages(*account_));  // whole slices go
  range.decommit(112, 528);
  EXPECT_LE(cached_pages(*account_), 100);
  EXPECT_GT(cached_pages(*account_), 100 - 16);
  expect_consistent(*account_);
}

TEST_F(TrimTest, TheOnlyProcessOfADomainKeepsASixteenth) {
  set_processes(account_->group, 1);
  TestRange range(40);
  ASSERT_TRUE(range.commit(0, 640));
  range.decommit(0, 640);
  EXPECT_LE(cached_pages(*account_), 200);
  EXPECT_GT(cached_pages(*account_), 200 - 16);
}

TEST_F(TrimTest, NothingIsKeptNearTheLimit) {
  TestRange range(200);
  ASSERT_TRUE(range.commit(0, 2816));
  range.decommit(0, 32);
  EXPECT_EQ(0, cached_pages(*account_));
  EXPECT_EQ(2784, usage(*account_));
  // With that charged there are 416 left, more than an eighth.
  range.decommit(32, 32);
  EXPECT_EQ(32, cached_pages(*account_));
}

TEST_F(TrimTest, WithoutALimitAllIsKept) {
  account_->counter.load()->store_max(kPageCounterMax);
  TestRange range(100);
  ASSERT_TRUE(range.commit(0, 1600));
  range.decommit(0, 1600);
  EXPECT_EQ(1600, cached_pages(*account_));
}

TEST_F(TrimTest, TheTightestLimitAboveDecides) {
  uint32_t parent = new_group(640);
  Account& account = new_account(kMax, parent);
  set_processes(parent, 2);
  set_processes(account.group, 1);
  ChargingScope scope(account);
  TestRange range(100);
  ASSERT_TRUE(range.commit(0, 400));
  range.decommit(0, 400);
  EXPECT_LE(cached_pages(account), 640 / 16 / 2);
}

}  // namespace
}  // namespace umemcg
