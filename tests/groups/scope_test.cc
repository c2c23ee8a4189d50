// Scopes that signal handlers open and close, whatever they interrupt.

#include <gtest/gtest.h>
#include <mimalloc.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/time.h>

#include <atomic>
#include <vector>

#include "accounting/mem_cgroup.h"
#include "alloc/attention.h"
#include "alloc/group_heap.h"
#include "alloc/thread_heaps.h"
#include "stock/current.h"
#include "tests/groups/process.h"

namespace umemcg {
namespace {

constexpr size_t kBlock = 200 * 1024;

class ScopeTest : public ::testing::Test {
 protected:
  void SetUp() override {
    start_process();
    ASSERT_EQ(0, set_thread_group(nullptr));
  }
  void TearDown() override {
    EXPECT_EQ(nullptr, t_context.active);
    EXPECT_EQ(0, set_thread_group(nullptr));
    settle();
    expect_exact("at the end");
  }
};

// The handler's part of each test.
void (*in_handler)() = nullptr;
void handle(int) { in_handler(); }

void raise_with(void (*body)()) {
  in_handler = body;
  struct sigaction action = {};
  action.sa_handler = handle;
  ASSERT_EQ(0, sigaction(SIGUSR1, &action, nullptr));
  raise(SIGUSR1);
}

Account* group_a = nullptr;
Account* group_b = nullptr;
Account* outer = nullptr;

TEST_F(ScopeTest, AScopeLeftOpenByAHandlerCountsFromTheNextAllocation) {
  group_a = &new_account();
  // The thread has no theap of it: none is made in the handler.
  raise_with([] { outer = begin_active(group_a); });
  EXPECT_EQ(nullptr, find_theap(*group_a));
  EXPECT_TRUE(t_context.attention);
  void* block = grab(kBlock);
  EXPECT_EQ(group_a, owner(block));
  EXPECT_FALSE(t_context.attention);
  raise_with([] { end_active(outer); });
  void* after = grab(kBlock);
  EXPECT_EQ(process_account(), owner(after));
  release(block);
  release(after);
}

TEST_F(ScopeTest, AHandlersScopeThatEndsLeavesTheThreadWhereItWas) {
  group_a = &new_account();
  group_b = &new_account();
  ASSERT_EQ(0, set_thread_group(group_a));
  void* first = grab(kBlock);
  raise_with([] { end_active(begin_active(group_b)); });
  void* second = grab(kBlock);
  EXPECT_EQ(group_a, owner(first));
  EXPECT_EQ(group_a, owner(second));
  release(first);
  release(second);
}

sigjmp_buf escape;

TEST_F(ScopeTest, AnOuterEndRestoresWhatALongjmpLeft) {
  group_a = &new_account();
  group_b = &new_account();
  Account* before = begin_active(group_a);
  void* first = grab(kBlock);
  if (sigsetjmp(escape, 1) == 0) {
    raise_with([] {
      begin_active(group_b);
      begin_active(nullptr);
      begin_active(group_b);
      siglongjmp(escape, 1);
    });
  }
  void* second = grab(kBlock);
  end_active(before);
  void* third = grab(kBlock);
  EXPECT_EQ(group_a, owner(first));
  EXPECT_EQ(group_b, owner(second));
  EXPECT_EQ(process_account(), owner(third));
  for (void* block : {first, second, third}) release(block);
}

// What the storm's handler turns to; the thread has used it, or not.
std::vector<Account*> storm_groups;
std::atomic<uint32_t> storms{0};
constexpr uint32_t kStorms = 5000;

void storm(int) {
  const uint32_t n = storms.fetch_add(1);
  Account* before = begin_active(storm_groups[n % storm_groups.size()]);
  Account* inner = begin_active(nullptr);
  end_active(inner);
  end_active(before);
}

void start_storm(int microseconds) {
  struct sigaction action = {};
  action.sa_handler = storm;
  action.sa_flags = SA_RESTART;
  ASSERT_EQ(0, sigaction(SIGALRM, &action, nullptr));
  itimerval timer = {{0, microseconds}, {0, microseconds}};
  ASSERT_EQ(0, setitimer(ITIMER_REAL, &timer, nullptr));
}

void stop_storm() {
  itimerval none = {};
  setitimer(ITIMER_REAL, &none, nullptr);
}

TEST_F(ScopeTest, AStormOfHandlersLeavesEachBlockWhereItBelongs) {
  std::vector<Account*> groups;
  for (int i = 0; i < 24; ++i) groups.push_back(&new_account());
  storm_groups.assign(groups.begin(), groups.begin() + 20);
  std::vector<void*> blocks(200, nullptr);
  storms.store(0);
  start_storm(200);
  const uint64_t end = sys::monotonic_ns() + 60'000'000'000;
  uint64_t steps = 0;
  for (uint64_t i = 0; storms.load() < kStorms && sys::monotonic_ns() < end;
       ++i, ++steps) {
    // Turning, making, evicting and allocating, all under fire.
    Account* group = groups[i / 16 % groups.size()];
    ASSERT_EQ(0, i % 16 == 0 ? set_thread_group(group) : 0);
    void*& place = blocks[i * 7919 % blocks.size()];
    release(place);
    place = grab(i % 13 == 0 ? kBlock : 64 + i % 5000);
    ASSERT_NE(nullptr, place);
    ASSERT_EQ(group, t_context.base) << i;
    ASSERT_EQ(group, t_context.account) << i;
    // (A commit that a handler interrupted is the group's all the same, since
    // the handler's scopes have ended.)
    ASSERT_EQ(group, owner(place)) << i;
  }
  stop_storm();
  ASSERT_EQ(0, set_thread_group(nullptr));
  for (void* block : blocks) release(block);
  EXPECT_GE(storms.load(), kStorms);
  EXPECT_GT(steps, 1000u);
  settle();
  for (Account* group : groups) EXPECT_EQ(0, usage(*group));
}

}  // namespace
}  // namespace umemcg
