// The kernel's own results are replayed from tests/vectors.

#include <gtest/gtest.h>

#include <cerrno>

#include "accounting/page_counter.h"

namespace umemcg {
namespace {

constexpr int64_t kError = -1;

int64_t pages_of(const char* text, const char* unlimited = "max") {
  int64_t pages = -77;
  int error = page_counter_memparse(text, unlimited, &pages);
  if (error == 0) return pages;
  EXPECT_EQ(error, -EINVAL);
  EXPECT_EQ(pages, -77) << "written despite the error";
  return kError;
}

TEST(Memparse, TakesNumbersAndSuffixes) {
  EXPECT_EQ(pages_of("4096"), 1);
  EXPECT_EQ(pages_of("8191"), 1);
  EXPECT_EQ(pages_of("64M"), 16384);
  EXPECT_EQ(pages_of("64m"), 16384);
  EXPECT_EQ(pages_of("1G"), 262144);
  EXPECT_EQ(pages_of("1t"), 268435456);
  EXPECT_EQ(pages_of("1P"), 274877906944);
  EXPECT_EQ(pages_of("1E"), 281474976710656);
}

TEST(Memparse, TakesThreeRadixes) {
  EXPECT_EQ(pages_of("0x2000"), 2);
  EXPECT_EQ(pages_of("0X1eK"), 7);
  EXPECT_EQ(pages_of("020000"), 2);
  EXPECT_EQ(pages_of("08"), kError);
  EXPECT_EQ(pages_of("0x"), kError);
  EXPECT_EQ(pages_of("0xg"), kError);
}

TEST(Memparse, NoDigitsAreZero) {
  EXPECT_EQ(pages_of(""), 0);
  EXPECT_EQ(pages_of("k"), 0);
}

TEST(Memparse, RefusesWhatFollows) {
  for (const char* text : {"1MB", "1 M", " 1M", "1M ", "-1", "+1", "1.5G",
                           "1KiB", "maximum", "MAX", "1\n"}) {
    EXPECT_EQ(pages_of(text), kError) << text;
  }
}

TEST(Memparse, TheWordForUnlimitedIsTheCallers) {
  EXPECT_EQ(pages_of("max"), kPageCounterMax);
  EXPECT_EQ(pages_of("unlimited", "unlimited"), kPageCounterMax);
  EXPECT_EQ(pages_of("max", "unlimited"), kError);
}

TEST(Memparse, IsAtMostUnlimited) {
  EXPECT_EQ(pages_of("9223372036854775807"), kPageCounterMax);
  EXPECT_EQ(pages_of("18446744073709551615"), kPageCounterMax);
  EXPECT_EQ(pages_of("15E"), kPageCounterMax);
}

}  // namespace
}  // namespace umemcg
