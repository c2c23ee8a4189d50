// The tree as it changes: groups that are removed and whose rows are used
// again, the limits of its shape, and controllers.

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <string>
#include <thread>
#include <vector>

#include "accounting/controller.h"
#include "accounting/gate.h"
#include "accounting/group_table.h"
#include "accounting/process.h"
#include "accounting/tree_change.h"
#include "base/sys.h"
#include "tests/unit/accounting/fixture.h"
#include "tests/unit/accounting/tree_check.h"
#include "tests/unit/support/child.h"

namespace umemcg {
namespace {

using test::Child;
using test::make_group;
using test::ThreadLine;
using test::tree_faults;

int create(const std::string& path, uint32_t* group = nullptr) {
  uint32_t made;
  return create_group(g_segment, path.c_str(),
                      group != nullptr ? group : &made);
}
uint32_t find(const std::string& path) {
  return find_group(g_segment, path.c_str());
}
int remove(const std::string& path) {
  return remove_group(g_segment, find(path));
}
Group& row(uint32_t group) { return test::group_at(g_segment, group); }

class TreeTest : public test::OwnSegmentTest {
 protected:
  void SetUp() override {
    OwnSegmentTest::SetUp();
    ASSERT_EQ(attach_process(kRootGroup, "test"), 0);
  }
  void TearDown() override {
    EXPECT_EQ(tree_faults(g_segment), "");
    OwnSegmentTest::TearDown();
  }
};

TEST_F(TreeTest, ARemovedGroupIsNotFound) {
  const uint32_t group = make_group(g_segment, "/a");
  const uint32_t generation = g_segment.header().generation;
  EXPECT_EQ(remove_group(g_segment, group), 0);
  EXPECT_EQ(find("/a"), kNone);
  EXPECT_FALSE(group_online(g_segment, group));
  EXPECT_EQ(group_id(g_segment, group), 0u);
  EXPECT_EQ(next_group(g_segment, kRootGroup), kNone);
  EXPECT_NE(g_segment.header().generation, generation);
  EXPECT_EQ(remove_group(g_segment, group), ENOENT);
  EXPECT_EQ(remove_group(g_segment, kNone), ENOENT);
  EXPECT_EQ(remove_group(g_segment, kRootGroup), EBUSY);
}

TEST_F(TreeTest, ARowIsUsedAgainAndNothingIsLeftInIt) {
  const uint32_t group = make_group(g_segment, "/a/b");
  Group& old = row(group);
  const uint64_t id = old.id;
  old.memory.store_max(5);
  old.memory.set_min(3);
  old.memory.charge(2);
  old.memory.uncharge(2);
  old.memory.count_failure();
  old.kmem.store_max(1);
  old.high = 4;
  old.refused_ms = 1;
  old.max_depth = 1;
  old.max_descendants = 1;
  old.events[0] = old.events_local[0] = 1;
  ASSERT_EQ(remove_group(g_segment, group), 0);
  ASSERT_EQ(make_group(g_segment, "/c"), group);
  const Group& fresh = row(group);
  EXPECT_GT(fresh.id, id);
  EXPECT_EQ(parent_group(g_segment, group), kRootGroup);
  EXPECT_EQ(fresh.depth, 1u);
  EXPECT_EQ(fresh.memory.parent(), &row(kRootGroup).memory);
  EXPECT_EQ(fresh.memory.max(), kPageCounterMax);
  EXPECT_EQ(fresh.memory.min(), 0);
  EXPECT_EQ(fresh.memory.watermark(), 0);
  EXPECT_EQ(fresh.memory.failcnt(), 0u);
  EXPECT_EQ(fresh.kmem.max(), kPageCounterMax);
  EXPECT_EQ(fresh.high, kPageCounterMax);
  EXPECT_EQ(fresh.refused_ms, 0u);
  EXPECT_EQ(fresh.max_depth, kNone);
  EXPECT_EQ(fresh.max_descendants, kNone);
  EXPECT_EQ(fresh.events[0], 0u);
  EXPECT_EQ(fresh.events_local[0], 0u);
  EXPECT_EQ(find("/a/b"), kNone);
  EXPECT_EQ(find("/c"), group);
}

TEST_F(TreeTest, WhatIsInsideKeepsIt) {
  const uint32_t a = make_group(g_segment, "/a");
  make_group(g_segment, "/a/b");
  EXPECT_EQ(remove_group(g_segment, a), EBUSY);  // a child
  EXPECT_EQ(remove("/a/b"), 0);
  {
    ThreadLine line(0);
    line->group = a + 1;
    EXPECT_EQ(remove_group(g_segment, a), EBUSY);  // a thread
  }
  ASSERT_EQ(move_process(g_segment, this_process(), a), 0);
  EXPECT_EQ(remove_group(g_segment, a), EBUSY);  // a process
  EXPECT_EQ(row(a).processes, 1u);
  EXPECT_TRUE(group_online(g_segment, a));
  ASSERT_EQ(move_process(g_segment, this_process(), kRootGroup), 0);
  EXPECT_EQ(remove_group(g_segment, a), 0);
  EXPECT_EQ(row(kRootGroup).processes, 1u);
}

TEST_F(TreeTest, NobodyMovesIntoWhatIsGone) {
  const uint32_t a = make_group(g_segment, "/a");
  ASSERT_EQ(remove_group(g_segment, a), 0);
  EXPECT_EQ(move_process(g_segment, this_process(), a), ENOENT);
  EXPECT_EQ(move_process(g_segment, 3, kRootGroup), ESRCH);
  EXPECT_EQ(move_process(g_segment, kNone, kRootGroup), ESRCH);
}

TEST_F(TreeTest, ARowThatIsAnotherSByNowIsNotTakenForTheGroup) {
  const uint32_t a = make_group(g_segment, "/a");
  const uint64_t id = group_id(g_segment, a);
  const int32_t nobody = INT32_MAX;
  EXPECT_EQ(move_pid(g_segment, nobody, a, id), ESRCH);
  ASSERT_EQ(remove_group_at(g_segment, "/a"), 0);
  EXPECT_EQ(remove_group_at(g_segment, "/a"), ENOENT);
  ASSERT_EQ(make_group(g_segment, "/b"), a);
  EXPECT_EQ(move_pid(g_segment, nobody, a, id), ENOENT);
  EXPECT_EQ(remove_group_at(g_segment, "/a"), ENOENT);
  EXPECT_TRUE(group_online(g_segment, a));
}

TEST_F(TreeTest, ALedgerKeepsTheRowButNotTheName) {
  const uint32_t a = make_group(g_segment, "/a");
  const uint64_t id = row(a).id;
  Account* account = account_of(a);
  ASSERT_NE(account, nullptr);
  ASSERT_EQ(remove_group(g_segment, a), 0);
  EXPECT_EQ(row(a).state, GroupState::kOffline);
  EXPECT_EQ(group_id(g_segment, a), id);
  EXPECT_EQ(g_segment.header().dying, 1u);
  const uint32_t again = make_group(g_segment, "/a");
  EXPECT_NE(again, a);
  EXPECT_GT(row(again).id, id);
  EXPECT_EQ(release_groups(g_segment), 0u);
  sync_accounts();
  EXPECT_EQ(release_groups(g_segment), 1u);
  EXPECT_EQ(row(a).state, GroupState::kFree);
  EXPECT_EQ(g_segment.header().dying, 0u);
}

// One that is gone keeps those above it, whose counters it is charged through.
TEST_F(TreeTest, RowsAreFreedFromBelow) {
  const uint32_t c = make_group(g_segment, "/a/b/c");
  Account* account = account_of(c);
  ASSERT_NE(account, nullptr);
  for (const char* path : {"/a/b/c", "/a/b", "/a"}) EXPECT_EQ(remove(path), 0);
  EXPECT_EQ(g_segment.header().dying, 3u);
  EXPECT_EQ(test::rows_in_use(g_segment), 4u);
  EXPECT_EQ(tree_faults(g_segment), "");
  EXPECT_EQ(release_groups(g_segment), 0u);
  sync_accounts();
  EXPECT_EQ(account->charged, kRootGroup);
  EXPECT_EQ(release_groups(g_segment), 3u);
  EXPECT_EQ(test::rows_in_use(g_segment), 1u);
}

TEST_F(TreeTest, ASectionUnderWayKeepsTheRow) {
  const uint32_t a = make_group(g_segment, "/a");
  std::atomic<int> step{0};
  std::thread charger([&] {
    ThreadLine line(0);
    ChargeSection section;
    step = 1;
    while (step != 2) sys::yield();
  });
  while (step != 1) sys::yield();
  EXPECT_EQ(remove_group(g_segment, a), 0);
  EXPECT_EQ(row(a).state, GroupState::kOffline);
  step = 2;
  charger.join();
  EXPECT_EQ(release_groups(g_segment), 1u);
}

TEST_F(TreeTest, CountsStayInTheSubtreesSums) {
  const uint32_t b = make_group(g_segment, "/a/b");
  const uint32_t a = find("/a");
  row(b).stat[static_cast<int>(Stat::kPgpgin)] = 7;
  ASSERT_EQ(remove_group(g_segment, b), 0);
  int64_t stats[kStats];
  read_stats(g_segment, a, true, stats);
  EXPECT_EQ(stats[static_cast<int>(Stat::kPgpgin)], 7);
}

TEST_F(TreeTest, WhatIsOnItsWayOutProtectsNothing) {
  const uint32_t a = make_group(g_segment, "/a");
  row(a).memory.set_min(10);
  row(a).memory.set_low(10);
  Account* account = account_of(a);
  account_charge(*account, 4);
  EXPECT_EQ(row(kRootGroup).memory.children_min_usage(), 4);
  ASSERT_EQ(remove_group(g_segment, a), 0);
  EXPECT_EQ(row(kRootGroup).memory.children_min_usage(), 0);
  EXPECT_EQ(row(kRootGroup).memory.children_low_usage(), 0);
}

// A process that was killed inside is no reason to stay.
TEST(TreeOfADomain, TheDeadKeepNothing) {
  test::ScratchDirectory scratch;
  ASSERT_EQ(g_segment.create_file(scratch.file("d").c_str(), test::kSmall), 0);
  const uint32_t a = make_group(g_segment, "/a");
  test::Shared<std::atomic<bool>> inside;
  {
    Child child([&] {
      ASSERT_EQ(attach_process(a, "child"), 0);
      account_charge(*account_of(a), 10);
      *inside = true;
      ::pause();
    });
    ASSERT_TRUE(test::wait_until([&] { return inside->load(); }));
    EXPECT_EQ(remove_group(g_segment, a), EBUSY);
  }
  EXPECT_EQ(remove_group(g_segment, a), 0);
  EXPECT_EQ(row(kRootGroup).memory.usage(), 0);
  EXPECT_EQ(test::rows_in_use(g_segment), 1u);
  EXPECT_EQ(tree_faults(g_segment), "");
  g_segment.detach();
}

TEST_F(TreeTest, DepthIsLimitedBySettings) {
  const uint32_t a = make_group(g_segment, "/a");
  row(a).max_depth = 2;
  EXPECT_EQ(create("/a/b/c"), 0);
  EXPECT_EQ(create("/a/b/c/d"), EAGAIN);
  EXPECT_EQ(create("/x/b/c/d"), 0);
  row(a).max_depth = 0;
  EXPECT_EQ(create("/a/e"), EAGAIN);
  EXPECT_EQ(create("/a/b"), 0);  // it is there
  row(a).max_depth = kNone;
  row(kRootGroup).max_depth = 3;
  EXPECT_EQ(create("/a/b/c/d"), EAGAIN);
  EXPECT_EQ(create("/a/b/e"), 0);
}

TEST_F(TreeTest, DescendantsAreLimitedBySettings) {
  const uint32_t a = make_group(g_segment, "/a");
  row(a).max_descendants = 2;
  EXPECT_EQ(create("/a/b/c"), 0);
  EXPECT_EQ(create("/a/d"), EAGAIN);
  EXPECT_EQ(create("/a/b/d"), EAGAIN);
  EXPECT_EQ(create("/d"), 0);
  // Those on their way out are not counted.
  ASSERT_NE(account_of(find("/a/b/c")), nullptr);
  EXPECT_EQ(remove("/a/b/c"), 0);
  EXPECT_EQ(g_segment.header().dying, 1u);
  EXPECT_EQ(create("/a/d"), 0);
  EXPECT_EQ(create("/a/e"), EAGAIN);
  row(kRootGroup).max_descendants = 0;
  EXPECT_EQ(create("/e"), EAGAIN);
}

TEST_F(TreeTest, ABadPathMakesNothing) {
  EXPECT_EQ(create("/a/../b"), EINVAL);
  EXPECT_EQ(create("/a/" + std::string(256, 'x')), EINVAL);
  std::string deep;
  for (int i = 0; i <= kMaxDepth; ++i) deep += "/d";
  EXPECT_EQ(create(deep), ENOSPC);
  EXPECT_EQ(test::rows_in_use(g_segment), 1u);
}

TEST_F(TreeTest, SaysWhetherItMadeTheGroup) {
  uint32_t group;
  bool made = false;
  EXPECT_EQ(create_group(g_segment, "/a/b", &group, &made), 0);
  EXPECT_TRUE(made);
  EXPECT_EQ(create_group(g_segment, "/a/b", &group, &made), 0);
  EXPECT_FALSE(made);
  EXPECT_EQ(create_group(g_segment, "/a", &group, &made), 0);
  EXPECT_FALSE(made);
}

TEST_F(TreeTest, AFullTableIsUsableAgain) {
  std::vector<std::string> paths;
  for (uint32_t i = 1; i < test::kSmall.groups; ++i) {
    paths.push_back("/g" + std::to_string(i));
    ASSERT_EQ(create(paths.back()), 0);
  }
  EXPECT_EQ(create("/more"), ENOSPC);
  ASSERT_NE(account_of(find("/g7")), nullptr);
  EXPECT_EQ(remove("/g7"), 0);
  EXPECT_EQ(create("/more"), ENOSPC);
  sync_accounts();
  // Who needs a row looks for those that nothing keeps any more.
  EXPECT_EQ(create("/more"), 0);
  EXPECT_EQ(create("/even more"), ENOSPC);
}

TEST(Controllers, AreFoundByName) {
  const Controller* memory = find_controller("memory", 6);
  ASSERT_NE(memory, nullptr);
  EXPECT_EQ(memory->bit, kControllerMemory);
  EXPECT_STREQ(memory->name, "memory");
  EXPECT_EQ(find_controller("memory", 3), nullptr);
  EXPECT_EQ(find_controller("memory.max", 10), nullptr);
  EXPECT_EQ(find_controller("cpu", 3), nullptr);
  EXPECT_EQ(find_controller("", 0), nullptr);
}

TEST_F(TreeTest, WithoutTheControllerAnAncestorIsCharged) {
  const uint32_t c = make_group(g_segment, "/a/b/c");
  const uint32_t b = find("/a/b"), a = find("/a");
  EXPECT_EQ(charged_group(g_segment, c), c);
  EXPECT_EQ(set_subtree_control(g_segment, b, 0, kControllerMemory), 0);
  EXPECT_FALSE(has_controller(g_segment, c, kControllerMemory));
  EXPECT_EQ(charged_group(g_segment, c), b);
  EXPECT_EQ(charged_group(g_segment, b), b);
  EXPECT_EQ(set_subtree_control(g_segment, a, 0, kControllerMemory), 0);
  EXPECT_EQ(charged_group(g_segment, c), a);
  EXPECT_EQ(charged_group(g_segment, b), a);
  EXPECT_EQ(set_subtree_control(g_segment, kRootGroup, 0, kControllerMemory),
            0);
  EXPECT_EQ(charged_group(g_segment, c), kRootGroup);
  EXPECT_EQ(charged_group(g_segment, kNone), kRootGroup);
}

TEST_F(TreeTest, TheControllerComesFromAbove) {
  const uint32_t b = make_group(g_segment, "/a/b");
  const uint32_t a = find("/a");
  make_group(g_segment, "/a/b/c");
  // What a child hands on is not taken away.
  EXPECT_EQ(set_subtree_control(g_segment, a, 0, kControllerMemory), EBUSY);
  EXPECT_EQ(set_subtree_control(g_segment, b, 0, kControllerMemory), 0);
  EXPECT_EQ(set_subtree_control(g_segment, a, 0, kControllerMemory), 0);
  // What it has not got it cannot hand on.
  EXPECT_EQ(set_subtree_control(g_segment, b, kControllerMemory, 0), ENOENT);
  EXPECT_EQ(set_subtree_control(g_segment, a, kControllerMemory, 0), 0);
  EXPECT_EQ(set_subtree_control(g_segment, b, kControllerMemory, 0), 0);
  EXPECT_EQ(set_subtree_control(g_segment, kNone, 0, 0), ENOENT);
}

TEST_F(TreeTest, WhatLosesTheControllerLosesItsLimits) {
  const uint32_t b = make_group(g_segment, "/a/b");
  const uint32_t a = find("/a");
  const uint32_t generation = g_segment.header().generation;
  row(a).memory.store_max(9);
  row(b).memory.store_max(5);
  row(b).memory.set_reserve(1);
  row(b).memory.set_min(3);
  row(b).memory.set_low(3);
  row(b).high = 4;
  row(b).kmem.store_max(2);
  row(b).sock.store_max(2);
  ASSERT_EQ(set_subtree_control(g_segment, a, 0, kControllerMemory), 0);
  EXPECT_NE(g_segment.header().generation, generation);
  const Group& group = row(b);
  EXPECT_EQ(group.memory.max(), kPageCounterMax);
  EXPECT_EQ(group.memory.reserve(), 0);
  EXPECT_EQ(group.memory.min(), 0);
  EXPECT_EQ(group.memory.low(), 0);
  EXPECT_EQ(group.high, kPageCounterMax);
  EXPECT_EQ(group.kmem.max(), kPageCounterMax);
  EXPECT_EQ(group.sock.max(), kPageCounterMax);
  EXPECT_EQ(row(a).memory.max(), 9);
}

TEST_F(TreeTest, ANewGroupHandsOnWhatItHas) {
  const uint32_t a = make_group(g_segment, "/a");
  EXPECT_EQ(row(a).subtree_control, kControllerMemory);
  ASSERT_EQ(set_subtree_control(g_segment, kRootGroup, 0, kControllerMemory),
            0);
  const uint32_t b = make_group(g_segment, "/b");
  EXPECT_EQ(row(b).subtree_control, 0u);
  EXPECT_EQ(charged_group(g_segment, b), kRootGroup);
  // Nor does one that had it hand on what it has lost.
  EXPECT_EQ(charged_group(g_segment, make_group(g_segment, "/a/c")),
            kRootGroup);
}

}  // namespace
}  // namespace umemcg
