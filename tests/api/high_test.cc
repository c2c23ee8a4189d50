// memory.high as a program sees it: slowed, never refused, and for how long.

#include <umemcg/umemcg.h>

#include <chrono>
#include <new>
#include <string>
#include <vector>

#include "tests/api/support.h"

namespace {

using api_test::Clock;
using api_test::kMiB;
using api_test::number;
using api_test::Opened;
using api_test::seconds_since;
using api_test::touched;
using api_test::value_of;

class High : public api_test::InGroups {
 protected:
  ~High() override { free_all(); }
  // Blocks of 64 KiB in the thread's group. False if one is refused.
  bool allocate(size_t bytes) {
    for (size_t held = 0; held < bytes; held += kBlock) {
      void* block = touched(malloc(kBlock), kBlock);
      if (block == nullptr) return false;
      blocks_.push_back(block);
    }
    return true;
  }
  void free_all() {
    for (void* block : blocks_) free(block);
    blocks_.clear();
  }

  static constexpr size_t kBlock = 64 * 1024;
  std::vector<void*> blocks_;
};

TEST_F(High, WithNothingToReclaimItIsSlowedWithinTheBound) {
  Opened group("/full");
  ASSERT_EQ(umemcg_set(group, "memory.high", "30M"), 0);
  ASSERT_EQ(umemcg_thread_set(group, nullptr), 0);
  ASSERT_TRUE(allocate(28 * kMiB));
  EXPECT_EQ(value_of(group, "memory.events", "high"), 0);
  const auto start = Clock::now();
  EXPECT_TRUE(allocate(172 * kMiB));
  const double took = seconds_since(start);
  RecordProperty("seconds", std::to_string(took));
  EXPECT_GE(took, 4.5);  // five seconds of sleep, less what timers round
  EXPECT_LE(took, 50.0);
  EXPECT_GE(number(group, "memory.current"), int64_t{200 * kMiB});
  EXPECT_GT(value_of(group, "memory.events", "high"), 100);
  EXPECT_EQ(value_of(group, "memory.events", "max"), 0);
  EXPECT_EQ(value_of(group, "memory.events", "oom"), 0);
  // Below it the episode is over, and the group is as any other.
  free_all();
  ASSERT_EQ(umemcg_set(group, "memory.high", "100M"), 0);
  const auto again = Clock::now();
  EXPECT_TRUE(allocate(90 * kMiB));
  EXPECT_LE(seconds_since(again), 4.0);
}

// What a sibling has left free is taken before anybody sleeps. (Charged, not
// allocated: the allocator would take the sibling's pages by itself.)
TEST_F(High, WithSomethingToReclaimItStaysNearHigh) {
  Opened parent("/shared");
  Opened idle("/shared/idle");
  Opened busy("/shared/busy");
  ASSERT_EQ(umemcg_set(parent, "memory.high", "30M"), 0);
  ASSERT_EQ(umemcg_thread_set(idle, nullptr), 0);
  ASSERT_TRUE(allocate(20 * kMiB));
  free_all();
  EXPECT_GE(number(idle, "memory.current"), int64_t{15 * kMiB});
  const auto start = Clock::now();
  int64_t most = 0;
  for (int i = 0; i < 27 * 4; ++i) {
    ASSERT_EQ(umemcg_charge(busy, UMEMCG_MMAP, kMiB / 4, 0), 0);
    const int64_t now = number(parent, "memory.current");
    if (now > most) most = now;
  }
  EXPECT_LE(seconds_since(start), 4.0);
  EXPECT_LE(most, int64_t{30 * kMiB / 100 * 105});
  EXPECT_LT(number(idle, "memory.current"), int64_t{6 * kMiB});
  EXPECT_GT(value_of(parent, "memory.events", "high"), 0);
  EXPECT_EQ(value_of(parent, "memory.events", "max"), 0);
  umemcg_uncharge(busy, UMEMCG_MMAP, 27 * kMiB);
}

// What is over is owed by every way to allocate.
TEST_F(High, EveryAllocationPays) {
  constexpr size_t kSize = 400 * 1024;  // more than may wait for the next call
  Opened group("/ways");
  ASSERT_EQ(umemcg_thread_set(group, nullptr), 0);
  ASSERT_TRUE(allocate(40 * kMiB));
  auto pays = [&](const char* how, auto allocate_one) {
    const int64_t high = number(group, "memory.current") + 200 * 1024;
    ASSERT_EQ(umemcg_set(group, "memory.high", std::to_string(high).c_str()),
              0);
    const int64_t before = value_of(group, "memory.events", "high");
    blocks_.push_back(touched(allocate_one(), kSize));
    EXPECT_GT(value_of(group, "memory.events", "high"), before) << how;
  };
  // The first makes malloc look, and is paid with the next.
  ASSERT_EQ(umemcg_set(group, "memory.high", "40M"), 0);
  blocks_.push_back(touched(malloc(kSize), kSize));
  pays("malloc", [] { return malloc(kSize); });
  pays("calloc", [] { return calloc(1, kSize); });
  pays("realloc", [] { return realloc(nullptr, kSize); });
  pays("aligned_alloc", [] { return aligned_alloc(4096, kSize); });
  pays("umemcg_malloc", [&] { return umemcg_malloc(group, kSize); });
  pays("operator new", [] { return operator new(kSize); });
  pays("aligned operator new",
       [] { return operator new (kSize, std::align_val_t{4096}); });
  pays("umemcg_charge", [&] {
    EXPECT_EQ(umemcg_charge(group, UMEMCG_SHMEM, kSize, 0), 0);
    return nullptr;
  });
  umemcg_uncharge(group, UMEMCG_SHMEM, kSize);
}

TEST_F(High, WhoMayNotWaitIsNotSlowed) {
  Opened group("/nowait");
  ASSERT_EQ(umemcg_set(group, "memory.high", "1M"), 0);
  ASSERT_EQ(umemcg_thread_set(group, nullptr), 0);
  ASSERT_EQ(umemcg_thread_flags(UMEMCG_NOWAIT), 0);
  const auto start = Clock::now();
  EXPECT_TRUE(allocate(20 * kMiB));
  EXPECT_LE(seconds_since(start), 4.0);
  EXPECT_EQ(value_of(group, "memory.events", "high"), 0);
  free_all();
  EXPECT_EQ(umemcg_thread_flags(0), UMEMCG_NOWAIT);
}

// Writing it reclaims what is free, and does not fail for the rest.
TEST_F(High, AWriteReclaimsDown) {
  Opened group("/written");
  ASSERT_EQ(umemcg_thread_set(group, nullptr), 0);
  ASSERT_TRUE(allocate(20 * kMiB));
  free_all();
  ASSERT_TRUE(allocate(4 * kMiB));
  ASSERT_EQ(umemcg_set(group, "memory.high", "8M"), 0);
  EXPECT_LE(number(group, "memory.current"), int64_t{8 * kMiB});
  const auto start = Clock::now();
  ASSERT_EQ(umemcg_set(group, "memory.high", "1M"), 0);
  EXPECT_LE(seconds_since(start), 4.0);
  EXPECT_GE(number(group, "memory.current"), int64_t{4 * kMiB});
  ASSERT_EQ(umemcg_set(group, "memory.high", "max"), 0);
}

TEST_F(High, AWriteOfMaxReclaimsDownAndStaysOver) {
  Opened group("/max");
  ASSERT_EQ(umemcg_thread_set(group, nullptr), 0);
  ASSERT_TRUE(allocate(20 * kMiB));
  free_all();
  ASSERT_TRUE(allocate(4 * kMiB));
  ASSERT_EQ(umemcg_set(group, "memory.max", "8M"), 0);
  EXPECT_LE(number(group, "memory.current"), int64_t{8 * kMiB});
  ASSERT_EQ(umemcg_set(group, "memory.max", "1M"), 0);
  EXPECT_EQ(number(group, "memory.max"), int64_t{kMiB});
  EXPECT_GE(number(group, "memory.current"), int64_t{4 * kMiB});
  EXPECT_EQ(malloc(2 * kMiB), nullptr);
  ASSERT_EQ(umemcg_set(group, "memory.max", "max"), 0);
}

TEST_F(High, ReclaimGivesBackWhatIsAskedFor) {
  Opened group("/reclaimed");
  ASSERT_EQ(umemcg_thread_set(group, nullptr), 0);
  ASSERT_TRUE(allocate(20 * kMiB));
  free_all();
  const int64_t before = number(group, "memory.current");
  ASSERT_EQ(umemcg_set(group, "memory.reclaim", "8M"), 0);
  const int64_t after = number(group, "memory.current");
  EXPECT_LE(after, before - int64_t{8 * kMiB});
  EXPECT_GE(after, before - int64_t{12 * kMiB});
  ASSERT_TRUE(allocate(4 * kMiB));
  errno = 0;
  EXPECT_EQ(umemcg_set(group, "memory.reclaim", "1G"), -1);
  EXPECT_EQ(errno, EAGAIN);
  char content[8];
  EXPECT_EQ(umemcg_get(group, "memory.reclaim", content, sizeof(content)), -1);
  EXPECT_EQ(errno, EINVAL);
}

}  // namespace
