// What a shrinker may do in the middle of somebody's malloc: allocate, change
// groups, let others work, fork, be interrupted, end its thread.

#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <sys/time.h>

#include <chrono>
#include <condition_variable>
#include <thread>
#include <vector>

#include "tests/api/child.h"
#include "tests/api/shrinkable.h"

namespace api_test {
namespace {

class Callback : public WithACache {
 protected:
  void SetUp() override {
    WithACache::SetUp();
    ASSERT_GT(cache_.join(group_), 0);
  }
};

// Its own malloc is served from the reserve, is charged to the group that is
// being shrunk, and shrinks nothing further.
TEST_F(Callback, Allocates) {
  bool nested = false;
  int inside = 0, served = 0, elsewhere = 0;
  cache_.in_scan = [&](umemcg_group* group) {
    nested = nested || inside != 0;
    ++inside;
    for (size_t size : {24u, 1'000u, 20'000u}) {
      void* block = touched(std::malloc(size), size);
      if (block == nullptr) continue;
      ++served;
      if (umemcg_owner(block) != group) ++elsewhere;
      block = std::realloc(block, 2 * size);
      std::free(block);
    }
    --inside;
  };
  Blocks blocks;
  EXPECT_TRUE(blocks.grow(50 * kMiB));
  EXPECT_FALSE(nested);
  EXPECT_EQ(served, 3 * cache_.calls);
  EXPECT_EQ(elsewhere, 0);
}

// There is an end to the reserve, and no reclaim within reclaim.
TEST_F(Callback, IsRefusedInTheEnd) {
  int refused = 0;
  cache_.in_scan = [&](umemcg_group*) {
    Blocks own;
    if (!own.grow(30 * kMiB)) ++refused;
  };
  Blocks blocks;
  blocks.grow(50 * kMiB);
  EXPECT_GT(refused, 0);
  EXPECT_LE(number(group_, "memory.peak"), int64_t{66 * kMiB});
}

TEST_F(Callback, IsChargedToTheGroupThatIsShrunk) {
  Opened below((path_ + "/below").c_str());
  ASSERT_EQ(umemcg_thread_set(below, nullptr), 0);
  std::string charged;
  cache_.in_scan = [&](umemcg_group*) {
    void* block = touched(std::malloc(100), 100);
    charged = path(umemcg_owner(block));
    std::free(block);
  };
  Blocks blocks;
  EXPECT_TRUE(blocks.grow(50 * kMiB));
  EXPECT_EQ(charged, path_);
  EXPECT_GE(number(below, "memory.current"), int64_t{50 * kMiB});
}

// A call that names its group goes on in that group.
TEST_F(Callback, InTheMiddleOfACallForAnotherGroup) {
  const std::string name = path_ + "/named";
  Opened below(name.c_str());
  cache_.in_scan = [&](umemcg_group*) { std::free(std::malloc(100)); };
  std::vector<void*> blocks;
  for (int i = 0; i < 50; ++i) {
    blocks.push_back(touched(umemcg_malloc(below, kMiB), kMiB));
    ASSERT_NE(blocks.back(), nullptr) << i;
    EXPECT_EQ(path(umemcg_owner(blocks.back())), name);
  }
  EXPECT_GT(cache_.calls, 0);
  EXPECT_GE(number(below, "memory.current"), int64_t{50 * kMiB});
  for (void* block : blocks) std::free(block);
}

TEST_F(Callback, ForgetsWhereTheThreadWas) {
  Opened other("/forgetful/other"), scope("/forgetful/scope");
  cache_.in_scan = [&](umemcg_group*) {
    umemcg_thread_set(other, nullptr);
    umemcg_active_begin(scope, nullptr);
    umemcg_thread_flags(UMEMCG_NOWAIT);
    errno = EIO;
  };
  Blocks blocks;
  errno = 0;
  EXPECT_TRUE(blocks.grow(50 * kMiB));
  EXPECT_GT(cache_.calls, 0);
  EXPECT_EQ(errno, 0);
  EXPECT_EQ(path(umemcg_thread_get()), path_);
  EXPECT_EQ(umemcg_thread_flags(0), 0);
  void* block = touched(std::malloc(kMiB), kMiB);
  EXPECT_EQ(path(umemcg_owner(block)), path_);
  std::free(block);
}

// More groups than a thread has heaps for.
TEST_F(Callback, GoesThroughManyGroups) {
  std::vector<umemcg_group*> groups;
  for (int i = 0; i < 40; ++i) {
    const std::string name = "/many/" + std::to_string(i);
    groups.push_back(umemcg_group_open(name.c_str(), UMEMCG_CREATE));
  }
  cache_.in_scan = [&](umemcg_group*) {
    for (umemcg_group* group : groups) umemcg_free(umemcg_malloc(group, 100));
  };
  Blocks blocks;
  EXPECT_TRUE(blocks.grow(50 * kMiB));
  EXPECT_EQ(path(umemcg_thread_get()), path_);
  for (umemcg_group* group : groups) umemcg_group_close(group);
}

// A thread that does what it is told.
class Worker {
 public:
  Worker() : thread_([this] { work(); }) {}
  ~Worker() {
    run(nullptr);
    thread_.join();
  }
  // Until it is done; null: it ends.
  void run(std::function<void()> job) {
    std::unique_lock<std::mutex> lock(mutex_);
    job_ = std::move(job);
    state_ = kGiven;
    changed_.notify_all();
    if (job_) changed_.wait(lock, [this] { return state_ == kDone; });
  }

 private:
  enum State { kIdle, kGiven, kDone };
  void work() {
    for (;;) {
      std::unique_lock<std::mutex> lock(mutex_);
      changed_.wait(lock, [this] { return state_ == kGiven; });
      if (!job_) return;
      job_();
      state_ = kDone;
      changed_.notify_all();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::function<void()> job_;
  State state_ = kIdle;
  std::thread thread_;
};

TEST_F(Callback, LetsAnotherThreadFree) {
  Worker worker;
  cache_.scan_instead = [&](size_t bytes) {
    size_t freed = 0;
    worker.run([&] {
      // (It is in the group too, and meets the limit by itself.)
      void* block = touched(std::malloc(100'000), 100'000);
      freed = cache_.drop(bytes);
      std::free(block);
    });
    return freed;
  };
  Blocks blocks;
  EXPECT_TRUE(blocks.grow(50 * kMiB));
  EXPECT_GT(cache_.calls, 0);
}

// What a thread of its own has filled.
TEST_F(Callback, FreesWhatAnotherThreadHasAllocated) {
  cache_.drop(SIZE_MAX);
  std::atomic<bool> over{false};
  std::atomic<bool> filled{false};
  std::thread owner([&] {
    cache_.fill(40 * kMiB);
    filled = true;
    while (!over) {
      std::free(std::malloc(100));
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  });
  while (!filled) std::this_thread::yield();
  Blocks blocks;
  EXPECT_TRUE(blocks.grow(50 * kMiB));
  over = true;
  owner.join();
}

TEST_F(Callback, IsNoCancellationPoint) {
  std::atomic<bool> went_on{false};
  pthread_t self = pthread_self();
  bool cancelled = false;
  cache_.in_scan = [&](umemcg_group*) {
    if (!cancelled) pthread_cancel(self);
    cancelled = true;
    pthread_testcancel();
    went_on = true;
  };
  std::thread thread([&] {
    self = pthread_self();
    Blocks blocks;
    EXPECT_TRUE(blocks.grow(50 * kMiB));
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, nullptr);
  });
  thread.join();
  EXPECT_TRUE(cancelled);
  EXPECT_TRUE(went_on);
}

void* end_in_a_callback(void* blocks) {
  static_cast<Blocks*>(blocks)->grow(50 * kMiB);
  return blocks;
}

TEST_F(Callback, EndsItsThread) {
  static int left;
  left = 3;
  cache_.in_scan = [&](umemcg_group*) {
    if (left-- > 0) pthread_exit(nullptr);
  };
  Blocks theirs[3];
  for (Blocks& blocks : theirs) {
    pthread_t thread;
    ASSERT_EQ(pthread_create(&thread, nullptr, end_in_a_callback, &blocks), 0);
    void* result = &blocks;
    ASSERT_EQ(pthread_join(thread, &result), 0);
    EXPECT_EQ(result, nullptr);
  }
  Blocks blocks;
  for (Blocks& its : theirs) its.free_all();
  EXPECT_TRUE(blocks.grow(50 * kMiB));
  EXPECT_EQ(cache_.stats().busy, 0u);
}

// Signals.

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

TEST_F(Callback, IsInterruptedBySignals) {
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

TEST_F(Callback, ForksAChildThatExecs) {
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
TEST_F(Callback, ForksAChildThatGoesOn) {
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
TEST_F(Callback, ForksInAChargeOfObjects) {
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
TEST_F(Callback, RunsWhileOthersFork) {
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
