// umemcg_oom_callback: the program decides when memory is out.

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <new>
#include <thread>

#include "tests/api/child.h"
#include "tests/api/shrinkable.h"
#include "tests/api/support.h"

namespace api_test {
namespace {

class OomCallback : public InGroups {
 protected:
  void SetUp() override {
    static int number = 0;
    const std::string path = "/oom" + std::to_string(++number);
    group_ = umemcg_group_open(path.c_str(), UMEMCG_CREATE);
    ASSERT_NE(group_, nullptr);
    ASSERT_EQ(umemcg_set(group_, "memory.max", "32M"), 0);
    ASSERT_EQ(umemcg_set(group_, "memory.oom.policy", "callback"), 0);
    ASSERT_EQ(umemcg_thread_set(group_, nullptr), 0);
    ASSERT_TRUE(hoard_.grow(20 * kMiB));
    ASSERT_EQ(umemcg_oom_callback(call, this), 0);
  }
  void TearDown() override {
    EXPECT_EQ(umemcg_oom_callback(nullptr, nullptr), 0);
    umemcg_thread_set(nullptr, nullptr);
    umemcg_group_close(group_);
  }
  static int call(umemcg_group* group, size_t bytes, void* arg) {
    OomCallback& test = *static_cast<OomCallback*>(arg);
    ++test.calls_;
    EXPECT_EQ(group, test.group_);
    EXPECT_GE(bytes, size_t{4096});
    return test.body_();
  }
  int64_t events(const char* key) {
    return value_of(group_, "memory.events", key);
  }

  umemcg_group* group_ = nullptr;
  Blocks hoard_;
  std::function<int()> body_;
  std::atomic<int> calls_{0};
};

TEST_F(OomCallback, MakesRoom) {
  body_ = [&] {
    hoard_.free_all();
    return 1;
  };
  Blocks blocks;
  EXPECT_TRUE(blocks.grow(24 * kMiB));
  EXPECT_EQ(calls_, 1);
  EXPECT_EQ(events("oom"), 1);
}

TEST_F(OomCallback, LetsItFail) {
  body_ = [] { return 0; };
  Blocks blocks;
  errno = 0;
  EXPECT_FALSE(blocks.grow(24 * kMiB));
  EXPECT_EQ(errno, ENOMEM);
  EXPECT_EQ(calls_, 1);
}

TEST_F(OomCallback, ThatPromisesRoomIsAskedSixteenTimes) {
  body_ = [] { return 1; };
  EXPECT_EQ(umemcg_charge(group_, UMEMCG_KMEM, 24 * kMiB, 0), -1);
  EXPECT_EQ(calls_, 16);
}

TEST_F(OomCallback, MayAllocateFromTheProcesssOwnGroup) {
  uint64_t owner = 0;
  body_ = [&] {
    // More than the reserve, which is not asked.
    void* block = touched(std::malloc(2 * kMiB), 2 * kMiB);
    EXPECT_NE(block, nullptr);
    owner = umemcg_owner_ino(block);
    std::free(block);
    return 0;
  };
  Blocks blocks;
  EXPECT_FALSE(blocks.grow(24 * kMiB));
  EXPECT_EQ(owner, umemcg_group_ino(nullptr));
  umemcg_group* after = nullptr;
  umemcg_thread_set(group_, &after);
  EXPECT_EQ(after, group_);
}

TEST_F(OomCallback, IsNotAskedByItsOwnCharges) {
  body_ = [&] {
    EXPECT_EQ(umemcg_charge(group_, UMEMCG_KMEM, 24 * kMiB, 0), -1);
    return 0;
  };
  EXPECT_EQ(umemcg_charge(group_, UMEMCG_KMEM, 24 * kMiB, 0), -1);
  EXPECT_EQ(calls_, 1);
}

TEST_F(OomCallback, IsNotAskedWhereFlagsSayHowToFail) {
  body_ = [] { return 1; };
  for (int flag : {UMEMCG_NOWAIT, UMEMCG_NORETRY, UMEMCG_RETRY_MAYFAIL}) {
    EXPECT_EQ(umemcg_charge(group_, UMEMCG_KMEM, 24 * kMiB, flag), -1);
  }
  EXPECT_EQ(calls_, 0);
}

TEST_F(OomCallback, MayEndItsThread) {
  body_ = []() -> int { pthread_exit(nullptr); };
  std::thread([&] { umemcg_charge(group_, UMEMCG_KMEM, 24 * kMiB, 0); }).join();
  EXPECT_EQ(calls_, 1);
  // The next one is asked as before.
  body_ = [] { return 0; };
  EXPECT_EQ(umemcg_charge(group_, UMEMCG_KMEM, 24 * kMiB, 0), -1);
  EXPECT_EQ(calls_, 2);
}

// What handlers allocate then is forced, more than the reserve has.
TEST_F(OomCallback, MayEndTheProcess) {
  body_ = []() -> int { std::quick_exit(1); };
  EXPECT_EQ(in_child([&] {
              // The process's own group: what the callback charges.
              if (umemcg_set(nullptr, "memory.max", "4M") != 0) return 2;
              std::at_quick_exit([] {
                Blocks blocks;
                _exit(blocks.grow(12 * kMiB) ? 0 : 3);
              });
              umemcg_charge(group_, UMEMCG_KMEM, 24 * kMiB, 0);
              return 4;
            }),
            0);
}

// An operator new that fails has asked once, whatever its form.
TEST_F(OomCallback, IsAskedOnceByOperatorNew) {
  constexpr size_t kSize = 24 * kMiB;
  constexpr std::align_val_t kAlign{64};
  body_ = [] { return 0; };
  EXPECT_THROW(touched(operator new(kSize), 1), std::bad_alloc);
  EXPECT_EQ(calls_, 1);
  EXPECT_THROW(touched(operator new[](kSize), 1), std::bad_alloc);
  EXPECT_EQ(calls_, 2);
  EXPECT_THROW(touched(operator new(kSize, kAlign), 1), std::bad_alloc);
  EXPECT_EQ(calls_, 3);
  EXPECT_EQ(operator new(kSize, std::nothrow), nullptr);
  EXPECT_EQ(calls_, 4);
  EXPECT_EQ(operator new(kSize, kAlign, std::nothrow), nullptr);
  EXPECT_EQ(calls_, 5);
}

TEST_F(OomCallback, MayFork) {
  body_ = [&] {
    const pid_t child = fork();
    if (child == 0) return 0;
    int status = -1;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    return 0;
  };
  const pid_t self = getpid();
  const int charged = umemcg_charge(group_, UMEMCG_KMEM, 24 * kMiB, 0);
  if (getpid() != self) {
    _exit(charged == -1 && umemcg_oom_callback(nullptr, nullptr) == 0 ? 0 : 1);
  }
  EXPECT_EQ(charged, -1);
}

}  // namespace
}  // namespace api_test
