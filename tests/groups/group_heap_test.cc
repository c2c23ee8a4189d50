// Whom a thread's memory is charged to, block by block.

#include <gtest/gtest.h>
#include <mimalloc.h>

#include <cerrno>
#include <vector>

#include "accounting/mem_cgroup.h"
#include "accounting/process.h"
#include "alloc/account_heap.h"
#include "alloc/cached.h"
#include "alloc/commit.h"
#include "alloc/group_heap.h"
#include "alloc/thread_heaps.h"
#include "alloc/zombie.h"
#include "stock/current.h"
#include "tests/groups/process.h"

namespace umemcg {
namespace {

constexpr size_t kBlock = 200 * 1024;  // 50 pages
constexpr int64_t kBlockPages = 50;

class GroupHeapTest : public ::testing::Test {
 protected:
  void SetUp() override {
    start_process();
    ASSERT_EQ(0, set_thread_group(nullptr));
  }
  void TearDown() override {
    EXPECT_EQ(0, set_thread_group(nullptr));
    settle();
    expect_exact("at the end");
  }
};

TEST_F(GroupHeapTest, ANewGroupReadsZeroUntilSomethingIsAllocated) {
  Account& a = new_account();
  ASSERT_EQ(0, set_thread_group(&a));
  EXPECT_EQ(0, usage(a));
  void* block = grab(kBlock);
  EXPECT_EQ(&a, owner(block));
  EXPECT_GE(usage(a), kBlockPages);
  release(block);
  settle();
  EXPECT_EQ(0, usage(a));
}

TEST_F(GroupHeapTest, AGroupOfOneMebibyteCanAllocate) {
  Account& a = new_account(256);
  ASSERT_EQ(0, set_thread_group(&a));
  void* block = grab(700 * 1024);
  ASSERT_NE(nullptr, block);
  EXPECT_EQ(nullptr, grab(700 * 1024));
  EXPECT_EQ(ENOMEM, errno);
  EXPECT_LE(usage(a), 256);
  release(block);
}

TEST_F(GroupHeapTest, EachBlockIsChargedToWhatTheThreadIsIn) {
  Account& a = new_account();
  Account& b = new_account();
  void* blocks[6];
  for (int i = 0; i < 6; ++i) {
    Account* const group = i % 3 == 0 ? &a : i % 3 == 1 ? &b : nullptr;
    ASSERT_EQ(0, set_thread_group(group));
    EXPECT_EQ(group, thread_group());
    blocks[i] = grab(kBlock);
    EXPECT_EQ(group != nullptr ? group : process_account(), owner(blocks[i]));
  }
  EXPECT_GE(usage(a), 2 * kBlockPages);
  EXPECT_GE(usage(b), 2 * kBlockPages);
  for (void* block : blocks) release(block);
  settle();
  EXPECT_EQ(0, usage(a));
  EXPECT_EQ(0, usage(b));
}

TEST_F(GroupHeapTest, AFreeFromAnyThreadOrGroupUnchargesTheOwner) {
  Account& a = new_account();
  Account& b = new_account();
  ASSERT_EQ(0, set_thread_group(&a));
  void* first = grab(kBlock);
  void* second = grab(100);
  ASSERT_EQ(0, set_thread_group(&b));
  release(first);
  ProgramThread([&] {
    EXPECT_EQ(&b, thread_group());
    release(second);
    settle();
  }).join();
  settle();
  EXPECT_EQ(0, usage(a));
  EXPECT_EQ(0, usage(b));
}

TEST_F(GroupHeapTest, AReallocThatMovesChargesTheCurrentGroup) {
  Account& a = new_account();
  Account& b = new_account();
  ASSERT_EQ(0, set_thread_group(&a));
  char* block = static_cast<char*>(grab(kBlock));
  block[9] = 'x';
  ASSERT_EQ(0, set_thread_group(&b));
  block = static_cast<char*>(mi_realloc(block, 2 * kBlock));
  EXPECT_EQ('x', block[9]);
  EXPECT_EQ(&b, owner(block));
  settle();
  EXPECT_EQ(0, usage(a));
  EXPECT_GE(usage(b), 2 * kBlockPages);
  // A call that names its group moves it, whatever its size.
  block = static_cast<char*>(group_realloc(a, block, 2 * kBlock));
  EXPECT_EQ('x', block[9]);
  EXPECT_EQ(&a, owner(block));
  settle();
  EXPECT_EQ(0, usage(b));
  release(block);
}

TEST_F(GroupHeapTest, TheGroupOfACallComesFirst) {
  Account& a = new_account();
  Account& b = new_account();
  Account& c = new_account();
  ASSERT_EQ(0, set_thread_group(&a));
  Account* before = begin_active(&b);
  void* blocks[] = {grab(kBlock),
                    group_malloc(c, kBlock),
                    group_calloc(c, 10, kBlock / 10),
                    group_aligned_alloc(c, 8192, kBlock),
                    group_aligned_alloc(c, 256 * 1024, kBlock),
                    grab(kBlock)};
  EXPECT_EQ(&b, owner(blocks[0]));
  for (int i = 1; i <= 4; ++i) EXPECT_EQ(&c, owner(blocks[i])) << i;
  EXPECT_EQ(&b, owner(blocks[5]));
  end_active(before);
  for (void* block : blocks) release(block);
  errno = 0;
  EXPECT_EQ(nullptr, group_calloc(c, SIZE_MAX / 2, 3));
  EXPECT_EQ(ENOMEM, errno);
}

TEST_F(GroupHeapTest, ScopesNest) {
  Account& a = new_account();
  Account& b = new_account();
  Account* outer = begin_active(&a);
  void* first = grab(kBlock);
  Account* inner = begin_active(&b);
  void* second = grab(kBlock);
  Account* none = begin_active(nullptr);
  void* third = grab(kBlock);
  end_active(none);
  void* fourth = grab(kBlock);
  end_active(inner);
  void* fifth = grab(kBlock);
  end_active(outer);
  void* sixth = grab(kBlock);
  EXPECT_EQ(&a, owner(first));
  EXPECT_EQ(&b, owner(second));
  EXPECT_EQ(process_account(), owner(third));
  EXPECT_EQ(&b, owner(fourth));
  EXPECT_EQ(&a, owner(fifth));
  EXPECT_EQ(process_account(), owner(sixth));
  for (void* block : {first, second, third, fourth, fifth, sixth}) {
    release(block);
  }
}

TEST_F(GroupHeapTest, APutWithinAScopeShowsWhenTheScopeEnds) {
  Account& a = new_account();
  Account& b = new_account();
  Account* outer = begin_active(&a);
  ASSERT_EQ(0, set_thread_group(&b));
  void* first = grab(kBlock);
  end_active(outer);
  void* second = grab(kBlock);
  EXPECT_EQ(&a, owner(first));
  EXPECT_EQ(&b, owner(second));
  release(first);
  release(second);
}

TEST_F(GroupHeapTest, FortyGroupsInOneThread) {
  std::vector<Account*> groups;
  std::vector<void*> blocks;
  for (int i = 0; i < 40; ++i) groups.push_back(&new_account());
  for (int round = 0; round < 3; ++round) {
    for (Account* group : groups) {
      ASSERT_EQ(0, set_thread_group(group));
      blocks.push_back(grab(1000));
      EXPECT_EQ(group, owner(blocks.back()));
    }
  }
  uint32_t cached = 0;
  for (Account* group : groups) cached += group->users.load() != 0 ? 1 : 0;
  EXPECT_LE(cached, kTheapsPerThread);
  ASSERT_EQ(0, set_thread_group(nullptr));
  expect_exact("with 40 groups");
  for (void* block : blocks) release(block);
  settle();
  for (Account* group : groups) EXPECT_EQ(0, usage(*group));
}

TEST_F(GroupHeapTest, AThreadsEndLeavesNothingButItsBlocks) {
  Account& a = new_account();
  void* block = nullptr;
  ProgramThread([&] {
    ASSERT_EQ(0, set_thread_group(&a));
    block = grab(kBlock);
    release(grab(10 * kBlock));
    EXPECT_EQ(1u, a.users.load());
  }).join();
  EXPECT_EQ(0u, a.users.load());
  EXPECT_EQ(0u, a.ledger->threads.load());
  EXPECT_EQ(&a, owner(block));
  purge_cached_subtree(kRootGroup, INT64_MAX, PurgeReason::kTrim);
  EXPECT_GE(usage(a), kBlockPages);
  EXPECT_LT(usage(a), 2 * kBlockPages);
  release(block);
  settle();
  EXPECT_EQ(0, usage(a));
}

TEST_F(GroupHeapTest, ANewThreadStartsInItsCreatorsGroup) {
  Account& a = new_account();
  ASSERT_EQ(0, set_thread_group(&a));
  ProgramThread([&] {
    EXPECT_EQ(&a, thread_group());
    void* block = grab(kBlock);
    EXPECT_EQ(&a, owner(block));
    release(block);
  }).join();
  ASSERT_EQ(0, set_thread_group(nullptr));
  ProgramThread([&] { EXPECT_EQ(nullptr, thread_group()); }).join();
}

TEST_F(GroupHeapTest, AnEmptyTableOfRecordsIsNoMemoryForTheHeap) {
  Account& a = new_account();
  Account& b = new_account();
  ASSERT_EQ(0, set_thread_group(&a));
  void* blocker = nullptr;
  // Not even root's records can be had: the system refuses.
  const sys::MemoryCalls real = sys::memory;
  set_commit_protects(true);
  sys::memory.protect = [](void*, size_t, int) { return ENOMEM; };
  errno = 7;
  int error = 0;
  std::vector<Account*> made;
  for (int i = 0; i < 200 && error == 0; ++i) {
    made.push_back(&new_account());
    error = set_thread_group(made.back());
  }
  sys::memory = real;
  set_commit_protects(false);
  EXPECT_EQ(ENOMEM, error);
  EXPECT_EQ(7, errno);
  // The thread stays where it was, and it works again later.
  Account* const last = made.size() > 1 ? made[made.size() - 2] : &a;
  EXPECT_EQ(last, thread_group());
  blocker = grab(kBlock);
  EXPECT_EQ(last, owner(blocker));
  release(blocker);
  ASSERT_EQ(0, set_thread_group(&b));
}

}  // namespace
}  // namespace umemcg
