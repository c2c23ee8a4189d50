// Children of fork, and the heaps and groups that they get.

#include <gtest/gtest.h>
#include <mimalloc.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <functional>
#include <vector>

#include "accounting/mem_cgroup.h"
#include "accounting/process.h"
#include "alloc/account_heap.h"
#include "alloc/group_heap.h"
#include "alloc/thread_heaps.h"
#include "alloc/zombie.h"
#include "stock/current.h"
#include "tests/groups/process.h"

namespace umemcg {
namespace {

constexpr size_t kBlock = 200 * 1024;
// In pages of its own: no slice of it was inherited.
constexpr size_t kLarge = 6 * 1024 * 1024;
constexpr int64_t kLargePages = 1536;

// Runs the body in a child; failures there are failures here.
void in_child(const std::function<void()>& body) {
  std::fflush(stdout);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    alarm(30);
    body();
    std::fflush(stdout);
    _exit(::testing::Test::HasFailure() ? 1 : 0);
  }
  int status = 0;
  ASSERT_EQ(child, waitpid(child, &status, 0));
  EXPECT_EQ(0, status) << "signal " << (status & 127);
}

class ForkTest : public ::testing::Test {
 protected:
  void TearDown() override {
    EXPECT_EQ(0, set_thread_group(nullptr));
    reap_dead_processes(g_segment);
    settle();
    expect_exact("at the end");
  }
};

using LoneForkTest = ForkTest;
using DomainForkTest = ForkTest;

// A thread that is in the group until it is told to go.
class Resident {
 public:
  explicit Resident(Account& account)
      : thread_([this, &account] {
          EXPECT_EQ(0, set_thread_group(&account));
          release(grab(100));
          there_.store(true);
          while (!go_.load()) sys::sleep_ns(100'000);
        }) {
    while (!there_.load()) sys::sleep_ns(100'000);
  }
  ~Resident() {
    go_.store(true);
    thread_.join();
  }

 private:
  std::atomic<bool> there_{false};
  std::atomic<bool> go_{false};
  ProgramThread thread_;
};

TEST_F(LoneForkTest, TheChildGoesOnWithItsThreadAlone) {
  start_process();
  Account& a = new_account();
  Account& b = new_account();
  Resident resident(a);
  ASSERT_EQ(0, set_thread_group(&b));
  void* block = grab(kBlock);
  in_child([&] {
    EXPECT_EQ(0u, a.users.load());
    EXPECT_EQ(1u, b.users.load());
    EXPECT_EQ(0u, a.ledger->threads.load());
    EXPECT_EQ(1u, b.ledger->threads.load());
    EXPECT_EQ(&b, thread_group());
    void* own = grab(kBlock);
    EXPECT_EQ(&b, owner(own));
    release(own);
    release(block);
    EXPECT_EQ(0, set_thread_group(&a));
    EXPECT_EQ(0, set_thread_group(nullptr));
    // Both groups can go, with the heaps of threads that are not here.
    const uint32_t generation = a.generation.load();
    const uint32_t other = b.generation.load();
    EXPECT_EQ(0, remove(a));
    EXPECT_EQ(0, remove(b));
    settle();
    EXPECT_TRUE(wait_released(a, generation));
    EXPECT_TRUE(wait_released(b, other));
    settle();
    expect_exact("in the child");
  });
  EXPECT_EQ(&b, owner(block));
  release(block);
}

TEST_F(DomainForkTest, TheChildChargesTheSameGroupAsAProcessOfItsOwn) {
  start_domain_process();
  Account& a = new_account();
  Resident resident(a);
  ASSERT_EQ(0, set_thread_group(&a));
  char* block = static_cast<char*>(grab(kBlock));
  block[9] = 'x';
  settle();
  const int64_t before = usage(a);
  in_child([&] {
    EXPECT_TRUE(a.inherited.load());
    Account* heir = thread_group();
    ASSERT_NE(nullptr, heir);
    EXPECT_NE(&a, heir);
    EXPECT_EQ(a.group, heir->group);
    EXPECT_EQ(1u, heir->users.load());
    EXPECT_EQ(before, usage(*heir));
    void* own = grab(kLarge);
    EXPECT_EQ(heir, owner(own));
    EXPECT_GE(usage(*heir), before + kLargePages);
    // What it inherited stays its parent's.
    EXPECT_EQ('x', block[9]);
    release(block);
    release(own);
    settle();
    EXPECT_EQ(before, usage(*heir));
    // Another thread finds the same heap.
    ProgramThread([&] {
      EXPECT_EQ(heir, thread_group());
      void* mine = grab(kLarge);
      EXPECT_EQ(heir, owner(mine));
      EXPECT_EQ(heap_of(*heir), mi_heap_of(mine));
      release(mine);
    }).join();
    EXPECT_EQ(0, set_thread_group(nullptr));
    void* process = grab(kLarge);
    EXPECT_EQ(process_account(), owner(process));
    EXPECT_FALSE(process_account()->inherited.load());
    EXPECT_EQ(process_account(), home_account());
    release(process);
    settle();
    expect_exact("in the child");
  });
  reap_dead_processes(g_segment);
  EXPECT_EQ(before, usage(a));
  EXPECT_EQ('x', block[9]);
  release(block);
}

// The group goes while a block that was inherited lives in its heap.
TEST_F(DomainForkTest, AHeapWithInheritedBlocksStays) {
  start_domain_process();
  Account& a = new_account();
  ASSERT_EQ(0, set_thread_group(&a));
  char* block = static_cast<char*>(grab(100));
  std::strcpy(block, "inherited");
  ASSERT_EQ(0, set_thread_group(nullptr));
  in_child([&] {
    Account* heir = account_of(a.group);
    ASSERT_EQ(0, set_thread_group(heir));
    void* own = grab(100);
    EXPECT_EQ(mi_heap_of(block), mi_heap_of(own));
    release(own);
    ASSERT_EQ(0, set_thread_group(nullptr));
    settle();
    ASSERT_EQ(0, remove(*heir));
    const uint32_t generation = heir->generation.load();
    EXPECT_FALSE(wait_released(*heir, generation, 100));
    EXPECT_STREQ("inherited", block);
    EXPECT_NE(mi_heap_main(), mi_heap_of(block));
    release(block);
    settle();
    EXPECT_TRUE(wait_released(*heir, generation));
  });
  EXPECT_STREQ("inherited", block);
  release(block);
}

// Children of children, each in another group.
TEST_F(DomainForkTest, Generations) {
  start_domain_process();
  std::vector<Account*> groups;
  for (int i = 0; i < 4; ++i) groups.push_back(&new_account());
  std::function<void(size_t)> generation = [&](size_t i) {
    if (i == groups.size()) return;
    Account* account = account_of(groups[i]->group);
    ASSERT_EQ(0, set_thread_group(account));
    void* block = grab(kBlock);
    EXPECT_EQ(account, owner(block));
    in_child([&] {
      Account* heir = thread_group();
      ASSERT_NE(nullptr, heir);
      EXPECT_EQ(groups[i]->group, heir->group);
      void* own = grab(kLarge);
      EXPECT_EQ(heir, owner(own));
      release(block);
      release(own);
      generation(i + 1);
    });
    release(block);
  };
  generation(0);
}

}  // namespace
}  // namespace umemcg
