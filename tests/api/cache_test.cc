// What one group left cached is no way around another group's limit.

#include <umemcg/umemcg.h>

#include <random>
#include <string>
#include <vector>

#include "tests/api/support.h"

namespace {

using api_test::kMiB;
using api_test::number;
using api_test::Opened;
using api_test::touched;

constexpr int kRepetitions = 100;

using CacheOfAnotherGroup = api_test::InGroups;

// Blocks of random sizes up to `most` bytes until they hold `wanted` bytes, or
// one is refused; what they hold.
size_t allocate(std::mt19937& random, size_t wanted, size_t most,
                std::vector<void*>& blocks) {
  size_t held = 0;
  while (held < wanted) {
    const size_t size = 16 + random() % most;
    void* block = touched(malloc(size), size);
    if (block == nullptr) break;
    blocks.push_back(block);
    held += size;
  }
  return held;
}

void free_all(std::vector<void*>& blocks) {
  for (void* block : blocks) free(block);
  blocks.clear();
}

TEST_F(CacheOfAnotherGroup, CountsForWhoeverTakesIt) {
  for (unsigned seed = 1; seed <= kRepetitions; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    const size_t most = size_t{1} << (8 + random() % 12);
    const std::string name = std::to_string(seed);
    Opened a(("/a" + name).c_str());
    Opened b(("/b" + name).c_str());
    ASSERT_EQ(umemcg_set(b, "memory.max", "20M"), 0);
    std::vector<void*> blocks;

    ASSERT_EQ(umemcg_thread_set(a, nullptr), 0);
    ASSERT_GE(allocate(random, 50 * kMiB, most, blocks), 50 * kMiB);
    free_all(blocks);
    const int64_t left = number(a, "memory.current");

    ASSERT_EQ(umemcg_thread_set(b, nullptr), 0);
    const size_t got = allocate(random, 50 * kMiB, most, blocks);
    EXPECT_LE(got, 20 * kMiB);
    EXPECT_GE(got, 16 * kMiB);  // mimalloc rounds blocks up by a fifth at most
    EXPECT_LE(number(b, "memory.current"), int64_t{20 * kMiB + 256 * 1024});
    // Nearly all that A held was free. How much of it is among B's 20 MiB is up
    // to mimalloc; what is, left A.
    EXPECT_LT(number(a, "memory.current"), left);
    free_all(blocks);
    ASSERT_EQ(umemcg_thread_set(nullptr, nullptr), 0);
    EXPECT_EQ(umemcg_group_remove(("/a" + name).c_str()), 0);
    EXPECT_EQ(umemcg_group_remove(("/b" + name).c_str()), 0);
  }
}

}  // namespace
