#include "base/units.h"

#include <gtest/gtest.h>

namespace umemcg {
namespace {

TEST(Units, UnlimitedInBytesFitsASignedNumber) {
  EXPECT_EQ(kPageCounterMax, 2251799813685247);  // as in the kernel
  EXPECT_LE(kPageCounterMax, INT64_MAX / static_cast<int64_t>(kPageSize));
}

TEST(Units, SizesArePowers) {
  EXPECT_EQ(kPageSize, 4096u);
  EXPECT_EQ(kKiB, size_t{1} << 10);
  EXPECT_EQ(kMiB, size_t{1} << 20);
  EXPECT_EQ(kGiB, size_t{1} << 30);
  EXPECT_EQ(kTiB, size_t{1} << 40);
}

TEST(Units, Rounds) {
  EXPECT_EQ(round_up(0, 4096), 0u);
  EXPECT_EQ(round_up(1, 4096), 4096u);
  EXPECT_EQ(round_up(4096, 4096), 4096u);
  EXPECT_EQ(round_down(4095, 4096), 0u);
  EXPECT_EQ(round_down(8191, 4096), 4096u);
}

TEST(Units, PagesRoundUpWithoutOverflow) {
  EXPECT_EQ(bytes_to_pages_up(0), 0u);
  EXPECT_EQ(bytes_to_pages_up(1), 1u);
  EXPECT_EQ(bytes_to_pages_up(4096), 1u);
  EXPECT_EQ(bytes_to_pages_up(4097), 2u);
  EXPECT_EQ(bytes_to_pages_up(SIZE_MAX), size_t{1} << 52);
}

}  // namespace
}  // namespace umemcg
