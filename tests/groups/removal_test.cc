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
#include "reclaim/charge_object.h"
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
  // And without a call: after the first block that was charged, and for which
  // a page may have been charged ahead.
  ASSERT_EQ(0, move_process(g_segment, this_process(), home->group));
  void* blocks[3];
  for (void*& block : blocks) block = grab(kBlock);
  EXPECT_EQ(home, owner(blocks[2]));
  for (void* each : {here, first, blocks[0], blocks[1], blocks[2]}) {
    release(each);
  }
  sync_thread();
  EXPECT_EQ(home, process_account());
}

// A thread that allocates nothing but small blocks, too.
TEST_F(RemovalTest, SmallBlocksFollowAMovedProcess) {
  Account& there = new_account();
  Account* const home = process_account();
  ASSERT_EQ(0, move_process(g_segment, this_process(), there.group));
  std::vector<void*> blocks;
  constexpr size_t kSmall = 1000;
  for (size_t i = 0; i < 4 * kMiB / kSmall; ++i) blocks.push_back(grab(kSmall));
  EXPECT_EQ(&there, process_account());
  EXPECT_EQ(&there, owner(blocks.back()));
  // What was free, and at most two batches of the stock.
  EXPECT_GE(usage(there), static_cast<int64_t>(3 * kMiB >> kPageShift));
  for (void* block : blocks) release(block);
  ASSERT_EQ(0, move_process(g_segment, this_process(), home->group));
  sync_thread();
  EXPECT_EQ(home, process_account());
}

struct Rows {
  uint32_t accounts = 0;
  uint32_t ledgers = 0;
  bool operator==(const Rows&) const = default;
};

// What is in use.
Rows rows() {
  Rows rows;
  for (uint32_t id = 1; id <= account_count(); ++id) {
    rows.accounts += account_at(id)->group_id.load() != 0 ? 1 : 0;
  }
  for (uint32_t i = 0; i < g_segment.ledgers_used(); ++i) {
    rows.ledgers += g_segment.ledger(i)->owner.load() != 0 ? 1 : 0;
  }
  return rows;
}

// Until as many are in use, with slow paths only.
bool wait_rows(Rows wanted) {
  for (int i = 0; i < 2000 && rows() != wanted; ++i) {
    sync_thread();
    sys::sleep_ns(1'000'000);
  }
  return rows() == wanted;
}

// More than one pass buries at once, some of them on one path.
TEST_F(RemovalTest, SlowPathsAloneBuryAllOfThem) {
  const Rows before = rows();
  for (int round = 0; round < 3; ++round) {
    std::vector<Account*> groups;
    for (int i = 0; i < 50; ++i) groups.push_back(&new_account());
    for (Account* account : groups) {
      ASSERT_EQ(0, set_thread_group(account));
      release(grab(1000));
    }
    ASSERT_EQ(0, set_thread_group(nullptr));
    settle();
    for (Account* account : groups) {
      ASSERT_EQ(0, remove_group(g_segment, account->group));
    }
    EXPECT_TRUE(wait_rows(before))
        << rows().accounts << " accounts, " << rows().ledgers << " ledgers";
  }
  for (int i = 0; i < 50; ++i) {
    Account& account = new_account();
    ASSERT_EQ(0, remove_group(g_segment, account.group));
    sync_thread();
  }
  EXPECT_TRUE(wait_rows(before))
      << rows().accounts << " accounts, " << rows().ledgers << " ledgers";
}

TEST_F(RemovalTest, AHandleKeepsNoHeap) {
  Account& a = new_account();
  const uint32_t generation = a.generation.load();
  ASSERT_TRUE(account_get_handle(a));
  ASSERT_EQ(0, set_thread_group(&a));
  void* block = grab(kBlock);
  ASSERT_EQ(0, set_thread_group(nullptr));
  ASSERT_EQ(0, remove(a));
  for (int i = 0; i < 100; ++i) bury_all_zombies(), sys::sleep_ns(1'000'000);
  EXPECT_NE(nullptr, heap_of(a));
  release(block);
  for (int i = 0; i < 2000 && heap_of(a) != nullptr; ++i) {
    sync_thread();
    bury_all_zombies();
    sys::sleep_ns(1'000'000);
  }
  EXPECT_EQ(nullptr, heap_of(a));
  EXPECT_EQ(0, account_pages(a));
  EXPECT_FALSE(wait_released(a, generation, 50));
  EXPECT_TRUE(account_put_handle(a));
  EXPECT_FALSE(account_put_handle(a));
  EXPECT_TRUE(wait_released(a, generation));
}

TEST_F(RemovalTest, RemaindersOfObjectsGoWithTheGroup) {
  Account& parent = new_account();
  Account& child = new_account(kPageCounterMax, parent.group);
  const uint32_t generation = child.generation.load();
  ASSERT_EQ(0, charge_object(child, Kind::kKmem, 1000, 0));
  ASSERT_EQ(0, remove(child));
  EXPECT_FALSE(wait_released(child, generation, 50));
  EXPECT_EQ(1, usage(parent));
  // What is left of the page is in this thread's line, and in the other's.
  ProgramThread([&] {
    uncharge_object(child, Kind::kKmem, 1000);
    EXPECT_TRUE(wait_released(child, generation));
  }).join();
  EXPECT_EQ(0, usage(parent));
}

// mimalloc's own records, made in the middle of a group's allocation.
TEST_F(RemovalTest, RecordsThatAGroupWasChargedForAreGivenBack) {
  Account& a = new_account();
  void* record = nullptr;
  {
    Account* const account = t_context.account;
    t_context.account = &a;
    record = mi_heap_malloc(mi_heap_main(), kMiB);
    t_context.account = account;
  }
  ASSERT_EQ(&a, owner(record));
  EXPECT_TRUE(give_back_records());
  EXPECT_EQ(records_account(), owner(record));
  settle();
  EXPECT_EQ(0, usage(a));
  EXPECT_FALSE(give_back_records());
  release(record);
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
