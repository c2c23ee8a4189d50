// Free blocks in the heaps of other threads: they collect when they are asked,
// and those who do not answer are not waited for again.

#include "alloc/collect.h"

#include <gtest/gtest.h>
#include <mimalloc.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <vector>

#include "accounting/mem_cgroup.h"
#include "alloc/cached.h"
#include "alloc/group_heap.h"
#include "base/sys.h"
#include "stock/current.h"
#include "tests/groups/process.h"

namespace umemcg {
namespace {

constexpr uint64_t kMs = 1'000'000;
constexpr uint64_t kLong = 5000 * kMs;
// Pages that the allocator keeps for sizes of which all blocks are free.
constexpr int64_t kKept = 20;

// A block of each size class up to 16 KiB, made and freed.
void leave_empty_pages() {
  std::vector<void*> blocks;
  for (size_t size = 8; size <= 16384; size += size / 8 + 8) {
    blocks.push_back(grab(size));
  }
  for (void* block : blocks) release(block);
}

// A thread of the group whose heap keeps pages that are empty. It allocates
// (`busy`), or stands still.
class Holder {
 public:
  explicit Holder(Account& account, std::function<void()> work = quick_work)
      : thread_([this, &account, work] {
          ASSERT_EQ(0, set_thread_group(&account));
          leave_empty_pages();
          ready_ = true;
          while (!end_) {
            if (busy_) {
              work();
            } else {
              sys::sleep_ns(kMs / 10);
            }
          }
        }) {
    while (!ready_) sys::sleep_ns(kMs / 10);
  }
  ~Holder() { end(); }

  void end() {
    end_ = true;
    thread_.join();
  }
  void be_busy(bool on) { busy_ = on; }

 private:
  // Takes and frees one block, which meets no slow path.
  static void quick_work() { release(grab(48)); }

  std::atomic<bool> ready_{false};
  std::atomic<bool> busy_{false};
  std::atomic<bool> end_{false};
  ProgramThread thread_;  // last: it uses the others
};

class CollectTest : public ::testing::Test {
 protected:
  void SetUp() override {
    start_process();
    ASSERT_EQ(0, set_thread_group(nullptr));
  }
  void TearDown() override {
    settle();
    expect_exact("at the end");
  }

  static bool wait_for_cached(const Account& account) {
    for (int i = 0; i < 5000 && account.cached_pages < kKept; ++i) {
      sys::sleep_ns(kMs);
    }
    return account.cached_pages >= kKept;
  }

  static int64_t cached_in(uint32_t group) {
    int64_t pages = 0;
    for (uint32_t id = 1; id <= account_count(); ++id) {
      const Account& account = *account_at(id);
      if (in_subtree(g_segment, account.charged, group)) {
        pages += account.cached_pages;
      }
    }
    return pages;
  }

  // Asks; the pages that are cached more, and how long it took.
  static int64_t ask(uint32_t group, uint64_t wait_ns, uint64_t* took) {
    const int64_t before = cached_in(group);
    const uint64_t start = sys::monotonic_ns();
    ask_threads_to_collect(group, wait_ns);
    *took = sys::monotonic_ns() - start;
    return cached_in(group) - before;
  }
};

TEST_F(CollectTest, AThreadThatAllocatesGivesBackWhatIsFree) {
  Account& a = new_account();
  Holder holder(a);
  holder.be_busy(true);
  uint64_t took;
  EXPECT_GE(ask(a.group, kLong, &took), kKept);
  EXPECT_LT(took, kLong);
  holder.be_busy(false);
}

// One whose malloc does not look notices in the allocator's slow path.
TEST_F(CollectTest, SoDoesOneThatOnlyMeetsTheSlowPath) {
  Account& a = new_account();
  std::vector<void*> kept;
  Holder holder(a, [&kept] { kept.push_back(mi_malloc(2000)); });
  holder.be_busy(true);
  uint64_t took;
  ask(a.group, kLong, &took);
  EXPECT_LT(took, kLong);
  holder.end();
  for (void* block : kept) release(block);
}

TEST_F(CollectTest, OneThatSleepsIsWaitedForOnce) {
  Account& a = new_account();
  Holder holder(a);
  uint64_t took;
  EXPECT_EQ(0, ask(a.group, 200 * kMs, &took));
  EXPECT_GE(took, 200 * kMs);
  EXPECT_EQ(0, ask(a.group, kLong, &took));
  EXPECT_LT(took, kLong / 2);
  // It answers when it comes back, and is waited for from then on.
  holder.be_busy(true);
  EXPECT_TRUE(wait_for_cached(a));
  holder.be_busy(false);
  sys::sleep_ns(5 * kMs);
  ask(a.group, 200 * kMs, &took);
  EXPECT_GE(took, 200 * kMs);
}

TEST_F(CollectTest, WhoHasNothingThereIsNotWaitedFor) {
  Account& a = new_account();
  Account& other = new_account();
  Holder holder(a);
  uint64_t took;
  EXPECT_EQ(0, ask(other.group, kLong, &took));
  EXPECT_LT(took, kLong / 2);
}

TEST_F(CollectTest, WhoHasEndedIsNotWaitedFor) {
  Account& a = new_account();
  { Holder holder(a); }
  uint64_t took;
  ask(a.group, kLong, &took);
  EXPECT_LT(took, kLong / 2);
}

TEST_F(CollectTest, OneThatIsAskedForTwoGroupsCollectsBoth) {
  Account& a = new_account();
  Account& other = new_account();
  Holder holder(a);
  uint64_t took;
  ask(a.group, 0, &took);
  ask(other.group, 0, &took);
  holder.be_busy(true);
  EXPECT_TRUE(wait_for_cached(a));
}

TEST_F(CollectTest, InTheChildOfAForkNobodyIsThere) {
  Account& a = new_account();
  Holder holder(a);
  std::fflush(stdout);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    alarm(30);
    uint64_t took;
    ask(a.group, kLong, &took);
    _exit(took < kLong / 2 ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(child, waitpid(child, &status, 0));
  EXPECT_EQ(0, status);
}

}  // namespace
}  // namespace umemcg
