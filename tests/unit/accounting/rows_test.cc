#include "accounting/rows.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace umemcg {
namespace {

constexpr uint32_t kRows = 8;

struct Table {
  std::atomic<uint64_t> owners[kRows] = {};
  std::atomic<uint32_t> high{0};

  uint32_t claim(uint32_t* hint, uint64_t value) {
    return claim_row(
        kRows, hint, value, high,
        [this](uint32_t i) -> std::atomic<uint64_t>& { return owners[i]; });
  }
};

TEST(ClaimRow, TakesFreeRowsFromTheHintOnAndRound) {
  Table table;
  uint32_t hint = 6;
  EXPECT_EQ(table.claim(&hint, 11), 6u);
  EXPECT_EQ(table.claim(&hint, 12), 7u);
  EXPECT_EQ(table.claim(&hint, 13), 0u);
  EXPECT_EQ(hint, 0u);
  EXPECT_EQ(table.owners[7], 12u);
}

TEST(ClaimRow, FindsTheLastFreeRowAndThenNone) {
  Table table;
  uint32_t hint = 0;
  for (uint32_t i = 0; i < kRows; ++i) table.owners[i] = 9;
  table.owners[3] = 0;
  EXPECT_EQ(table.claim(&hint, 1), 3u);
  EXPECT_EQ(table.claim(&hint, 1), kNone);
  EXPECT_EQ(table.owners[0], 9u);
}

// A hint may come from a larger table.
TEST(ClaimRow, AnyHintWillDo) {
  Table table;
  uint32_t hint = 1000;
  EXPECT_LT(table.claim(&hint, 1), kRows);
}

TEST(ClaimRow, ScansSeeEveryRowEverUsed) {
  Table table;
  uint32_t hint = 5;
  table.claim(&hint, 1);
  EXPECT_EQ(table.high, 6u);
  hint = 0;
  table.claim(&hint, 1);
  EXPECT_EQ(table.high, 6u);
}

TEST(ClaimRow, OfManyThreadsEachHasARowOfItsOwn) {
  for (int round = 0; round < 200; ++round) {
    Table table;
    std::vector<std::thread> threads;
    std::atomic<uint32_t> sum{0};
    for (uint32_t t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        uint32_t hint = 0;
        for (int i = 0; i < 2; ++i) {
          uint32_t row = table.claim(&hint, t + 1);
          if (row != kNone && table.owners[row] == t + 1) {
            sum += row;
          }
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    ASSERT_EQ(sum, 0u + 1 + 2 + 3 + 4 + 5 + 6 + 7);
    ASSERT_EQ(table.high, kRows);
  }
}

}  // namespace
}  // namespace umemcg
