#include "base/news.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <thread>
#include <vector>

namespace umemcg {
namespace {

constexpr uint64_t kMs = 1'000'000;
constexpr uint64_t kLong = 10'000 * kMs;

class NewsTest : public testing::Test {
 protected:
  std::atomic<uint32_t> word_{0};
  std::atomic<uint32_t> mark_{0};
};

TEST_F(NewsTest, NobodySleeps) {
  tell_news(word_, mark_);
  EXPECT_EQ(word_, 1u);
  EXPECT_EQ(mark_, 0u);
}

TEST_F(NewsTest, WhatWasToldBeforeIsNotSleptThrough) {
  const uint32_t seen = word_;
  tell_news(word_, mark_);
  EXPECT_EQ(wait_for_news(word_, mark_, seen, kLong), 0);
}

TEST_F(NewsTest, ASleepHasAnEnd) {
  EXPECT_EQ(wait_for_news(word_, mark_, word_, kMs), ETIMEDOUT);
  EXPECT_EQ(mark_, 1u);
  tell_news(word_, mark_);
  EXPECT_EQ(mark_, 0u);
}

// A mark that is taken away late is that of somebody who has seen all there
// was to see, and is about to sleep.
TEST_F(NewsTest, AMarkThatIsTakenLate) {
  mark_ = 1;
  const uint32_t seen = word_;
  tell_news(word_, mark_);
  EXPECT_EQ(word_, seen + 2);
}

// Several tellers, several sleepers: nobody sleeps through the last piece.
TEST_F(NewsTest, NoneIsSleptThrough) {
  constexpr uint32_t kTellers = 2, kSleepers = 2, kPieces = 3000;
  std::atomic<uint32_t> told{0};
  std::atomic<int> late{0};
  std::vector<std::thread> threads;
  for (uint32_t i = 0; i < kSleepers; ++i) {
    threads.emplace_back([&] {
      for (;;) {
        const uint32_t seen = word_;
        if (told == kTellers * kPieces) return;
        if (wait_for_news(word_, mark_, seen, kLong) == ETIMEDOUT) ++late;
      }
    });
  }
  for (uint32_t i = 0; i < kTellers; ++i) {
    threads.emplace_back([&] {
      for (uint32_t n = 0; n < kPieces; ++n) {
        ++told;
        tell_news(word_, mark_);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(late, 0);
}

}  // namespace
}  // namespace umemcg
