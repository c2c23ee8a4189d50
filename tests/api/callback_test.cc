// What a shrinker may do in the middle of somebody's malloc: allocate, change
// groups, let others work, end its thread.

#include <pthread.h>

#include <chrono>
#include <condition_variable>
#include <thread>
#include <vector>

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

// Blocks with such an alignment are mapped each by itself: the one inside must
// not change how the one around it is.
TEST_F(Callback, InTheMiddleOfAnAlignedBlock) {
  cache_.in_scan = [&](umemcg_group*) {
    std::free(std::aligned_alloc(256 * 1024, 256 * 1024));
  };
  void* block = touched(std::aligned_alloc(2 * kMiB, 32 * kMiB), 32 * kMiB);
  EXPECT_NE(block, nullptr);
  EXPECT_GT(cache_.calls, 0);
  std::free(block);
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

}  // namespace
}  // namespace api_test
