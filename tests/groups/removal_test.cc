// Groups that are removed: whom their blocks, threads and heaps go to.

#include <gtest/gtest.h>
#include <mimalloc.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "accounting/mem_cgroup.h"
#include "accounting/process.h"
#include "alloc/account_heap.h"
#include "alloc/group_heap.h"
#include "alloc/zombie.h"
#include "stock/current.h"
#include "tests/groups/process.h"

namespace umemcg {
namespace {

constexpr size_t kBlock = 200 * 1024;
constexpr int64_t kBlockPages = 50;

class RemovalTest : public ::testing::Test {
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

TEST_F(RemovalTest, ItsBlocksAreTheParentsAndItsHeapGoesWithTheLastOfThem) {
  Account& parent = new_account();
  Account& child = new_account(kPageCounterMax, parent.group);
  const uint32_t group = child.group;
  const uint64_t id = child.group_id;
  const uint32_t generation = child.generation;
  ASSERT_EQ(0, set_thread_group(&child));
  void* big = grab(kBlock);
  void* small = grab(100);
  ASSERT_EQ(0, set_thread_group(nullptr));
  settle();
  const int64_t before = usage(parent);
  EXPECT_GE(before, kBlockPages);
  ASSERT_EQ(0, remove(child));
  EXPECT_EQ(before, usage(parent));
  EXPECT_TRUE(child.stale.load());
  EXPECT_EQ(&child, owner(big));
  release(big);
  settle();
  EXPECT_LE(usage(parent), before - kBlockPages);
  EXPECT_GT(usage(parent), 0);
  EXPECT_NE(nullptr, heap_of(child));
  release(small);
  EXPECT_TRUE(wait_released(child, generation));
  EXPECT_EQ(nullptr, heap_of(child));
  settle();
  EXPECT_EQ(0, usage(parent));
  release_groups(g_segment);
  EXPECT_NE(id, group_id(g_segment, group));
}

TEST_F(RemovalTest, NotWhileAThreadIsInIt) {
  Account& a = new_account();
  ASSERT_EQ(0, set_thread_group(&a));
  release(grab(100));
  EXPECT_EQ(EBUSY, remove_group(g_segment, a.group));
  ASSERT_EQ(0, set_thread_group(nullptr));
  EXPECT_EQ(0, remove(a));
}

TEST_F(RemovalTest, AThreadInAScopeOfItChargesTheNearestAncestor) {
  Account& parent = new_account();
  Account& child = new_account(kPageCounterMax, parent.group);
  Account* before = begin_active(&child);
  void* first = grab(kBlock);
  EXPECT_EQ(&child, owner(first));
  ASSERT_EQ(0, remove_group(g_segment, child.group));
  sync_accounts();
  sync_thread();
  void* second = grab(kBlock);
  EXPECT_EQ(&parent, owner(second));
  end_active(before);
  release(first);
  release(second);
}

TEST_F(RemovalTest, PuttingAThreadIntoARemovedGroupIsEstale) {
  Account& parent = new_account();
  Account& child = new_account(kPageCounterMax, parent.group);
  ASSERT_TRUE(account_get(child));  // a handle
  ASSERT_EQ(0, set_thread_group(&child));
  ASSERT_EQ(0, set_thread_group(nullptr));
  ASSERT_EQ(0, remove_group(g_segment, child.group));
  EXPECT_EQ(ESTALE, set_thread_group(&child));
  EXPECT_EQ(&parent, thread_group());
  void* block = grab(kBlock);
  EXPECT_EQ(&parent, owner(block));
  void* named = group_malloc(child, kBlock);
  EXPECT_EQ(&parent, owner(named));
  release(named);
  release(block);
  ASSERT_EQ(0, set_thread_group(nullptr));
  account_put(child);
}

TEST_F(RemovalTest, ItsRowIsNeverMistakenForAnothers) {
  Account& parent = new_account();
  Account& child = new_account(kPageCounterMax, parent.group);
  const uint32_t generation = child.generation;
  // A scope without a handle: nothing but its generation holds the account.
  Account* before = begin_active(&child);
  ASSERT_EQ(0, remove_group(g_segment, child.group));
  sync_accounts();
  sync_thread();
  EXPECT_TRUE(wait_released(child, generation));
  release_groups(g_segment);
  std::vector<Account*> others;
  for (int i = 0; i < 50; ++i) others.push_back(&new_account());
  void* block = grab(kBlock);
  EXPECT_EQ(&parent, owner(block));
  for (Account* other : others) EXPECT_EQ(0, usage(*other));
  end_active(before);
  release(block);
}

TEST_F(RemovalTest, ItsCachedPagesServeNobodyElseUncharged) {
  Account& parent = new_account();
  Account& child = new_account(kPageCounterMax, parent.group);
  ASSERT_EQ(0, set_thread_group(&child));
  void* blocks[8];
  for (void*& block : blocks) {
    block = grab(kBlock);
    std::memset(block, 's', kBlock);
  }
  for (void* block : blocks) release(block);
  ASSERT_EQ(0, set_thread_group(nullptr));
  ASSERT_EQ(0, remove_group(g_segment, child.group));
  Account& other = new_account();
  ASSERT_EQ(0, set_thread_group(&other));
  for (void*& block : blocks) {
    block = grab(kBlock);
    EXPECT_EQ(&other, owner(block));
    const char* bytes = static_cast<char*>(block);
    for (size_t i = 64; i < kBlock; i += 4096) EXPECT_NE('s', bytes[i]) << i;
  }
  EXPECT_GE(usage(other), 8 * kBlockPages);
  for (void* block : blocks) release(block);
}

// As a handler leaves it that opens a scope in the middle of an allocation.
TEST_F(RemovalTest, AHeapStaysWhileAPageInItIsAnothers) {
  Account& a = new_account();
  Account& b = new_account();
  const uint32_t generation = a.generation.load();
  ASSERT_EQ(0, set_thread_group(&a));
  t_context.account = &b;
  char* block = static_cast<char*>(grab(10 * kBlock));
  t_context.account = &a;
  ASSERT_EQ(&b, owner(block));
  block[9] = 'x';
  ASSERT_EQ(0, set_thread_group(nullptr));
  settle();
  EXPECT_EQ(0, usage(a));
  EXPECT_GE(usage(b), 10 * kBlockPages);
  ASSERT_EQ(0, remove(a));
  EXPECT_FALSE(wait_released(a, generation, 100));
  EXPECT_EQ('x', block[9]);
  EXPECT_EQ(heap_of(a), mi_heap_of(block));
  release(block);
  EXPECT_TRUE(wait_released(a, generation));
  settle();
  EXPECT_EQ(0, usage(b));
}

TEST_F(RemovalTest, AMovedProcessTakesItsThreadsAlong) {
  Account& there = new_account();
  Account* const home = process_account();
  void* here = grab(kBlock);
  ASSERT_EQ(0, move_process(g_segment, this_process(), there.group));
  sync_thread();
  EXPECT_EQ(&there, process_account());
  void* first = grab(kBlock);
  EXPECT_EQ(&there, owner(first));
  EXPECT_EQ(home, owner(here));
  ProgramThread([&] {
    EXPECT_EQ(nullptr, thread_group());
    void* block = grab(kBlock);
    EXPECT_EQ(&there, owner(block));
    release(block);
  }).join();
  // And without a call: at a slow path of malloc.
  ASSERT_EQ(0, move_process(g_segment, this_process(), home->group));
  void* block = nullptr;
  for (int i = 0; i < 5000 && owner(block) != home; ++i) {
    release(block);
    block = grab(kBlock);
  }
  EXPECT_EQ(home, owner(block));
  for (void* each : {here, first, block}) release(each);
  sync_thread();
  EXPECT_EQ(home, process_account());
}

TEST_F(RemovalTest, AThousandGroupsComeAndGo) {
  for (int i = 0; i < 1000; ++i) {
    Account& a = new_account();
    ASSERT_EQ(0, set_thread_group(&a)) << i;
    void* block = grab(1000);
    ASSERT_EQ(&a, owner(block));
    ASSERT_EQ(0, set_thread_group(nullptr));
    if (i % 2 == 0) release(block);
    ASSERT_EQ(0, remove_group(g_segment, a.group)) << i;
    if (i % 2 != 0) release(block);
  }
  sync_accounts();
  sync_thread();
  for (int i = 0; i < 100; ++i) {
    bury_all_zombies();
    sys::sleep_ns(1'000'000);
  }
  uint32_t left = 0;
  for (uint32_t id = 1; id <= account_count(); ++id) {
    const Account& account = *account_at(id);
    left += account.group_id != 0 && account.stale.load() ? 1 : 0;
  }
  EXPECT_EQ(0u, left);
}

}  // namespace
}  // namespace umemcg
