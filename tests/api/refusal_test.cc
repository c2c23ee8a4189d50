// What a refused allocation counts, and what fault injection does to a program.

#include <umemcg/umemcg.h>

#include <vector>

#include "tests/api/support.h"

namespace {

using api_test::kMiB;
using api_test::number;
using api_test::Opened;
using api_test::touched;
using api_test::value_of;

// The kernel's count: the first pass, one more after the drain, 16 retries.
constexpr int kPasses = 18;

class Refusal : public testing::Test {
 protected:
  Refusal() { EXPECT_EQ(umemcg_set(group_, "memory.max", "8M"), 0); }
  ~Refusal() override {
    for (void* block : blocks_) umemcg_free(block);
  }
  // Blocks until one is refused.
  void fill(size_t size) {
    blocks_.reserve(4096);
    while (void* block = touched(umemcg_malloc(group_, size), size))
      blocks_.push_back(block);
  }
  int64_t event(const char* name) {
    return value_of(group_, "memory.events", name);
  }

  Opened group_{"/refused"};
  std::vector<void*> blocks_;
};

TEST_F(Refusal, CountsAsTheKernelDoes) {
  fill(kMiB);
  // Warm: neither heap nor theap has anything to make any more.
  for (int i = 1; i <= 3; ++i) {
    const int64_t max = event("max"), oom = event("oom");
    EXPECT_EQ(umemcg_malloc(group_, kMiB), nullptr);
    EXPECT_EQ(event("max") - max, kPasses);
    EXPECT_EQ(event("oom") - oom, 1);
  }
  EXPECT_EQ(event("oom_kill"), 0);
  EXPECT_LE(number(group_, "memory.current"), 8 * int64_t{kMiB});
}

TEST_F(Refusal, ObjectsCountTheSame) {
  ASSERT_EQ(umemcg_charge(group_, UMEMCG_MMAP, 7 * kMiB, 0), 0);
  const int64_t max = event("max"), oom = event("oom");
  EXPECT_EQ(umemcg_charge(group_, UMEMCG_MMAP, 2 * kMiB, 0), -1);
  EXPECT_EQ(event("max") - max, kPasses);
  EXPECT_EQ(event("oom") - oom, 1);
  EXPECT_EQ(umemcg_charge(group_, UMEMCG_MMAP, 2 * kMiB, UMEMCG_RETRY_MAYFAIL),
            -1);
  EXPECT_EQ(event("max") - max, 2 * kPasses);
  EXPECT_EQ(event("oom") - oom, 1);
  EXPECT_EQ(umemcg_charge(group_, UMEMCG_MMAP, 2 * kMiB, UMEMCG_NOWAIT), -1);
  EXPECT_EQ(event("max") - max, 2 * kPasses);
  umemcg_uncharge(group_, UMEMCG_MMAP, 7 * kMiB);
}

TEST_F(Refusal, MoreThanTheLimitIsRefusedAtOnce) {
  const int64_t max = event("max"), oom = event("oom");
  EXPECT_EQ(umemcg_charge(group_, UMEMCG_MMAP, 9 * kMiB, 0), -1);
  EXPECT_EQ(event("max") - max, 1);
  EXPECT_EQ(event("oom") - oom, 1);
}

}  // namespace
