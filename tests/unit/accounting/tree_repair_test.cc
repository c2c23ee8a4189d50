// Whoever changes the tree may be killed anywhere in it. The next one that
// holds the lock repairs what is half done, and goes on.

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <functional>
#include <string>

#include "accounting/process.h"
#include "accounting/recount.h"
#include "accounting/tree_change.h"
#include "base/fault_point.h"
#include "tests/unit/accounting/fixture.h"
#include "tests/unit/accounting/tree_check.h"
#include "tests/unit/support/child.h"

namespace umemcg {
namespace {

using test::Child;
using test::make_group;
using test::tree_faults;

uint32_t find(const char* path) { return find_group(g_segment, path); }

// Set in the child that is to die.
constinit const char* fatal_label = nullptr;

void die_at_label(const char* label) {
  if (fatal_label != nullptr && std::strcmp(label, fatal_label) == 0) {
    ::kill(::getpid(), SIGKILL);
  }
}

class TreeRepairTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(g_segment.create_file(scratch_.file("d").c_str(), test::kSmall),
              0);
    make_group(g_segment, "/a/b");
    make_group(g_segment, "/c");
  }
  void TearDown() override { g_segment.detach(); }

  // A child that dies at the label in the middle of `change`.
  void die_at(const char* label, const std::function<void()>& change) {
    SCOPED_TRACE(label);
    Child child([&] {
      fatal_label = label;
      g_fault_point_hook.install(die_at_label);
      change();
    });
    EXPECT_EQ(child.wait(), 256 + SIGKILL);
    EXPECT_EQ(g_segment.header().changing, 1u);
  }
  // Whoever comes next.
  void repair() {
    EXPECT_TRUE(test::wait_until([] {
      TreeChange change(g_segment);
      return g_segment.header().recount_due == 0;
    }));
    EXPECT_EQ(g_segment.header().changing, 0u);
    reap_dead_processes(g_segment);
    EXPECT_EQ(tree_faults(g_segment), "");
    EXPECT_EQ(audit(g_segment), 0);
  }
  // The tables can be used to the last row, and emptied.
  void expect_usable() {
    uint32_t group;
    int made = 0;
    for (int error = 0; error == 0; ++made) {
      const std::string path = "/fill" + std::to_string(made);
      error = create_group(g_segment, path.c_str(), &group);
      EXPECT_TRUE(error == 0 || error == ENOSPC) << error;
    }
    EXPECT_EQ(test::rows_in_use(g_segment), test::kSmall.groups);
    for (int left = 1; left != 0;) {
      left = 0;
      for (uint32_t i = 1; i < g_segment.groups_used(); ++i) {
        if (!group_online(g_segment, i)) continue;
        ++left;
        const int error = remove_group(g_segment, i);
        EXPECT_TRUE(error == 0 || error == EBUSY) << error;
      }
    }
    release_groups(g_segment);
    EXPECT_EQ(test::rows_in_use(g_segment), 1u);
    EXPECT_EQ(tree_faults(g_segment), "");
  }

  test::ScratchDirectory scratch_;
};

TEST_F(TreeRepairTest, AGroupThatIsHalfMadeIsThereOrNot) {
  for (const char* label :
       {"making: a row is filled", "making: a group is not linked yet"}) {
    SCOPED_TRACE(label);
    die_at(label, [] { make_group(g_segment, "/a/new"); });
    repair();
    make_group(g_segment, "/a/new");
    EXPECT_NE(find("/a/new"), kNone);
    EXPECT_EQ(remove_group(g_segment, find("/a/new")), 0);
  }
  EXPECT_NE(find("/a/b"), kNone);
  expect_usable();
}

TEST_F(TreeRepairTest, AGroupThatIsHalfRemovedIsGone) {
  for (const char* label :
       {"removing: a group is still linked",
        "removing: a group is not counted yet", "removing: nobody knows yet",
        "removing: stocks are not drained yet"}) {
    SCOPED_TRACE(label);
    const uint32_t group = make_group(g_segment, "/a/b");
    const uint32_t generation = g_segment.header().generation;
    die_at(label, [group] { remove_group(g_segment, group); });
    repair();
    EXPECT_EQ(find("/a/b"), kNone);
    EXPECT_NE(find("/a"), kNone);
    // Or processes would go on charging it.
    EXPECT_NE(g_segment.header().generation, generation);
    EXPECT_EQ(release_groups(g_segment), 1u);
  }
  expect_usable();
}

TEST_F(TreeRepairTest, ARowThatIsHalfFreedIsFreedLater) {
  for (const char* label : {"freeing: a row is not free yet",
                            "freeing: a row is out of all counts"}) {
    SCOPED_TRACE(label);
    const uint32_t group = make_group(g_segment, "/a/b");
    die_at(label, [group] { remove_group(g_segment, group); });
    repair();
    EXPECT_EQ(find("/a/b"), kNone);
    release_groups(g_segment);
    EXPECT_EQ(test::group_at(g_segment, group).state, GroupState::kFree);
    EXPECT_EQ(g_segment.header().dying, 0u);
    EXPECT_EQ(test::group_at(g_segment, find("/a")).children, 0u);
  }
  expect_usable();
}

TEST_F(TreeRepairTest, AProcessThatHalfJoinedIsNotCounted) {
  for (const char* label : {"joining: a slot is not there yet",
                            "joining: a slot is seen, but free"}) {
    die_at(label, [] { attach_process(find("/a/b"), "child"); });
    repair();
    EXPECT_EQ(test::group_at(g_segment, find("/a/b")).processes, 0u);
    EXPECT_EQ(g_segment.process(0)->state, ProcessState::kFree);
  }
  expect_usable();
}

TEST_F(TreeRepairTest, AProcessThatIsHalfMovedIsInOneGroup) {
  test::Shared<std::atomic<bool>> inside;
  Child process([&] {
    ASSERT_EQ(attach_process(find("/a/b"), "child"), 0);
    *inside = true;
    ::pause();
  });
  ASSERT_TRUE(test::wait_until([&] { return inside->load(); }));
  die_at("a process is half moved",
         [] { EXPECT_EQ(move_process(g_segment, 0, find("/c")), 0); });
  repair();
  EXPECT_EQ(g_segment.process(0)->group, find("/c"));
  EXPECT_EQ(test::group_at(g_segment, find("/c")).processes, 1u);
  EXPECT_EQ(test::group_at(g_segment, find("/a/b")).processes, 0u);
  EXPECT_EQ(test::group_at(g_segment, kRootGroup).processes, 1u);
  process.kill();
  reap_dead_processes(g_segment);
  expect_usable();
}

// Of a process with charges, a stock and threads.
void live_and_die() {
  ASSERT_EQ(attach_process(find("/a/b"), "child"), 0);
  Account& account = *account_of(find("/a/b"));
  StockLine& line = test::line_at(0);
  line.owner = this_process() + 1;
  g_segment.header().lines_high = 1;
  set_thread_line(&line);
  account_charge(account, 20);
  account_charge_kind(account, Kind::kKmem, 3);
  account.ledger->threads = 1;
  add_to_ancestors(g_segment, find("/a/b"), &Group::threads, 1);
  line.slots[0] = StockWord(account.ledger_index, 8).bits();
  line.slots[1] = StockWord(account.ledger_index, 5).bits();
  drain_word(g_segment, line.slots[0]);
  ::kill(::getpid(), SIGKILL);
}

TEST_F(TreeRepairTest, WhoIsHalfReapedIsReaped) {
  for (const char* label :
       {"reaping: marks are taken", "reaping: between a word and its ledger",
        "reaping: a line is not free yet",
        "reaping: between counters and ledger",
        "reaping: a ledger is not free yet",
        "reaping: a slot is not free yet"}) {
    SCOPED_TRACE(label);
    EXPECT_EQ(Child(live_and_die).wait(), 256 + SIGKILL);
    ASSERT_EQ(test::group_at(g_segment, kRootGroup).memory.usage(), 12);
    die_at(label, [] { reap_dead_processes(g_segment); });
    repair();
    EXPECT_EQ(test::group_at(g_segment, kRootGroup).memory.usage(), 0);
    EXPECT_EQ(test::group_at(g_segment, kRootGroup).kmem.usage(), 0);
    EXPECT_EQ(g_segment.process(0)->state, ProcessState::kFree);
    EXPECT_EQ(test::line_at(0).owner, 0u);
  }
  expect_usable();
}

// One that is interrupted leaves the rest to the next.
TEST_F(TreeRepairTest, AHalfDoneRecountIsDoneAgain) {
  for (const char* label :
       {"recounting: the gate is closed", "within a correction",
        "recounting: within a group"}) {
    SCOPED_TRACE(label);
    test::group_at(g_segment, find("/a/b")).memory.correct(5, 0, 0);
    test::group_at(g_segment, kRootGroup).memory.correct(7, 2, 0);
    die_at(label, [] {
      TreeChange change(g_segment);
      recount(g_segment);
    });
    repair();
    EXPECT_EQ(test::group_at(g_segment, find("/a/b")).memory.usage(), 0);
    EXPECT_EQ(test::group_at(g_segment, kRootGroup).memory.usage(), 0);
    EXPECT_EQ(test::group_at(g_segment, kRootGroup).memory.children_min_usage(),
              0);
    EXPECT_EQ(g_segment.header().gate & 1, 0u);
  }
}

// Chains and counts that hold anything at all, as a damaged file's may.
TEST_F(TreeRepairTest, ChainsAndCountsAreMadeAnew) {
  const uint32_t b = find("/a/b"), c = find("/c");
  for (uint32_t i = 0; i < g_segment.bucket_count(); ++i) {
    g_segment.bucket(i) = i % 3 == 0 ? b + 1 : kNone;
  }
  test::group_at(g_segment, b).next = b + 1;  // a circle
  test::group_at(g_segment, c).next = kNone;
  test::group_at(g_segment, b).children = 77;
  g_segment.header().dying = 5;
  g_segment.header().changing = 1;
  repair();
  EXPECT_EQ(find("/a/b"), b);
  EXPECT_EQ(find("/c"), c);
  expect_usable();
}

// Anywhere at all, and often.
TEST_F(TreeRepairTest, KilledAnywhere) {
  int in_the_middle = 0;
  // Few kills hit the middle of a change where the machine is busy.
  for (int round = 0; round < 150 || (in_the_middle == 0 && round < 3000);
       ++round) {
    test::Shared<std::atomic<int>> turns;
    Child child([&] {
      for (;;) {
        uint32_t group;
        create_group(g_segment, "/x/y/z", &group);
        for (const char* path : {"/x/y/z", "/x/y", "/x"}) {
          remove_group(g_segment, find(path));
        }
        ++*turns;
      }
    });
    ASSERT_TRUE(test::wait_until([&] { return *turns > round % 7; }));
    child.kill();
    in_the_middle += g_segment.header().changing != 0;
    repair();
  }
  EXPECT_GT(in_the_middle, 0);
  expect_usable();
}

}  // namespace
}  // namespace umemcg
