// Signals and forks in the middle of a shrinker's call.

#include <malloc.h>
#include <signal.h>
#include <sys/time.h>

#include <chrono>
#include <thread>

#include "tests/api/child.h"
#include "tests/api/shrinkable.h"

namespace api_test {
namespace {

class Interrupted : public WithACache {
 protected:
  void SetUp() override {
    WithACache::SetUp();
    ASSERT_GT(cache_.join(group_), 0);
  }
};

volatile sig_atomic_t may_allocate = 0;
volatile sig_atomic_t handled = 0;
volatile sig_atomic_t failed = 0;
umemcg_group* charged_by_handler = nullptr;

// Charges at any moment; allocates when the program is known not to be in the
// middle of that.
void on_alarm(int) {
  const int kept = errno;
  umemcg_group* before;
  umemcg_active_begin(charged_by_handler, &before);
  const int error =
      umemcg_charge(charged_by_handler, UMEMCG_KMEM, 5'000, UMEMCG_NOWAIT);
  if (error == 0) {
    umemcg_uncharge(charged_by_handler, UMEMCG_KMEM, 5'000);
  } else if (errno != ENOMEM) {
    failed = 1;
  }
  if (may_allocate) std::free(std::malloc(300));
  umemcg_active_end(before);
  handled = handled + 1;
  errno = kept;
}

class Alarms {
 public:
  explicit Alarms(umemcg_group* group) {
    charged_by_handler = group;
    handled = 0;
    failed = 0;
    struct sigaction action = {};
    action.sa_handler = on_alarm;
    action.sa_flags = SA_RESTART;
    sigaction(SIGALRM, &action, &before_);
    set(200);
  }
  ~Alarms() {
    set(0);
    sigaction(SIGALRM, &before_, nullptr);
  }
  Alarms(const Alarms&) = delete;
  Alarms& operator=(const Alarms&) = delete;

 private:
  static void set(int microseconds) {
    const itimerval timer = {{0, microseconds}, {0, microseconds}};
    setitimer(ITIMER_REAL, &timer, nullptr);
  }
  struct sigaction before_;
};

TEST_F(Interrupted, BySignals) {
  cache_.in_scan = [&](umemcg_group*) {
    may_allocate = 1;
    for (int i = 0; i < 20'000; ++i) asm volatile("");
    may_allocate = 0;
  };
  {
    Alarms alarms(group_);
    const auto end =
        std::chrono::steady_clock::now() + std::chrono::milliseconds(500);
    while (std::chrono::steady_clock::now() < end) {
      cache_.fill(40 * kMiB);
      Blocks blocks;
      blocks.grow(50 * kMiB);
    }
  }
  EXPECT_GT(cache_.calls, 0);
  EXPECT_GT(handled, 10);
  EXPECT_EQ(failed, 0);
  EXPECT_EQ(value_of(group_, "memory.stat", "kernel"), 0);
}

// Forks.

TEST_F(Interrupted, ForksAChildThatExecs) {
  int status = 0;
  cache_.in_scan = [&](umemcg_group*) {
    const pid_t child = fork();
    if (child == 0) {
      execl("/bin/true", "true", nullptr);
      _exit(127);
    }
    int one = -1;
    waitpid(child, &one, 0);
    status |= one;
    cache_.in_scan = nullptr;
  };
  Blocks blocks;
  EXPECT_TRUE(blocks.grow(50 * kMiB));
  EXPECT_FALSE(cache_.in_scan);
  EXPECT_EQ(status, 0);
}

// The child comes back from the callback as its parent does, in the middle of
// the same allocation. (In a domain what it has from its parent stays charged
// to that, and there is no room for what both want.)
TEST_F(Interrupted, ForksAChildThatGoesOn) {
  pid_t child = -1;
  cache_.in_scan = [&](umemcg_group*) {
    cache_.in_scan = nullptr;
    child = fork();
    if (child == 0 || in_domain()) umemcg_set(group_, "memory.max", "1G");
  };
  Blocks blocks;
  const bool got = blocks.grow(50 * kMiB);
  if (child == 0) {
    if (!got) _exit(1);
    if (!blocks.grow(60 * kMiB)) _exit(2);
    if (path(umemcg_thread_get()) != path_) _exit(3);
    _exit(umemcg_shrinker_unregister(cache_.id()) == 0 ? 0 : 4);
  }
  EXPECT_TRUE(got);
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 0);
  // What either had is given back.
  blocks.free_all();
  cache_.drop(SIZE_MAX);
  malloc_trim(0);
  EXPECT_TRUE(wait_at_most(group_, 256 * 1024));
}

// The same for a charge of objects: the child's is its own.
TEST_F(Interrupted, ForksInAChargeOfObjects) {
  pid_t child = -1;
  cache_.in_scan = [&](umemcg_group*) {
    cache_.in_scan = nullptr;
    child = fork();
    if (child == 0) umemcg_set(group_, "memory.max", "1G");
  };
  const int result = umemcg_charge(group_, UMEMCG_KMEM, 30 * kMiB, 0);
  if (child == 0) {
    if (result != 0) _exit(1);
    umemcg_uncharge(group_, UMEMCG_KMEM, 30 * kMiB);
    _exit(0);
  }
  EXPECT_EQ(result, 0);
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 0);
  umemcg_uncharge(group_, UMEMCG_KMEM, 30 * kMiB);
  cache_.drop(SIZE_MAX);
  malloc_trim(0);
  EXPECT_TRUE(wait_at_most(group_, 256 * 1024));
  EXPECT_EQ(number(group_, "memory.kmem.usage_in_bytes"), 0);
}

// Other threads fork while one reclaims.
TEST_F(Interrupted, RunsWhileOthersFork) {
  std::atomic<bool> over{false};
  std::atomic<int> bad{0}, forks{0};
  std::thread forker([&] {
    while (!over) {
      const bool execs = forks % 2 == 0;
      const pid_t child = fork();
      if (child == 0) {
        if (execs) execl("/bin/true", "true", nullptr);
        // It may be in nobody's call, and can do without the parent's threads.
        cache_.in_scan = nullptr;
        Blocks own;
        own.grow(kMiB, 50'000);
        _exit(umemcg_shrinker_unregister(cache_.id()) == 0 ? 0 : 1);
      }
      int status = -1;
      if (waitpid(child, &status, 0) != child || status != 0) ++bad;
      ++forks;
    }
  });
  const auto end =
      std::chrono::steady_clock::now() + std::chrono::milliseconds(700);
  while (std::chrono::steady_clock::now() < end) {
    cache_.fill(30 * kMiB);
    Blocks blocks;
    blocks.grow(50 * kMiB);
  }
  over = true;
  forker.join();
  EXPECT_GT(cache_.calls, 0);
  EXPECT_GT(forks, 2);
  EXPECT_EQ(bad, 0);
}

}  // namespace
}  // namespace api_test
