#include "accounting/size.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <string>

#include "base/units.h"

namespace umemcg {
namespace {

constexpr int64_t kError = -1;

int64_t pages_of(const std::string& text) {
  int64_t pages = -77;
  int error = parse_size(text.c_str(), &pages);
  if (error == 0) return pages;
  EXPECT_EQ(error, -EINVAL) << text;
  return kError;
}

TEST(ParseSize, TakesWhatControlFilesTake) {
  EXPECT_EQ(pages_of("64M"), 16384);
  EXPECT_EQ(pages_of("65536"), 16);
  EXPECT_EQ(pages_of("0x10000"), 16);
  EXPECT_EQ(pages_of("0200000"), 16);
  EXPECT_EQ(pages_of("max"), kPageCounterMax);
  EXPECT_EQ(pages_of("0"), 0);
  EXPECT_EQ(pages_of("1"), 0);
}

TEST(ParseSize, AllowsBlanksAround) {
  EXPECT_EQ(pages_of("  64M"), 16384);
  EXPECT_EQ(pages_of("64M\n"), 16384);
  EXPECT_EQ(pages_of(" \t64M \t\n"), 16384);
  EXPECT_EQ(pages_of(" max "), kPageCounterMax);
}

TEST(ParseSize, RefusesWhatHasNoDigits) {
  for (const char* text : {"", " ", "\n", "k", "M", "-1", "+1", "MAX", "x"}) {
    EXPECT_EQ(pages_of(text), kError) << "\"" << text << "\"";
  }
}

TEST(ParseSize, RefusesWhatFollowsANumber) {
  for (const char* text :
       {"64MB", "64 M", "1.5G", "64M64", "0x", "08", "0xg", "64Mi", "12q"}) {
    EXPECT_EQ(pages_of(text), kError) << text;
  }
}

// 2^64 and more wraps in the kernel; a person did not mean what that gives.
TEST(ParseSize, RefusesWhatDoesNotFit64Bits) {
  EXPECT_EQ(pages_of("18446744073709551615"), kPageCounterMax);
  EXPECT_EQ(pages_of("0xffffffffffffffff"), kPageCounterMax);
  EXPECT_EQ(pages_of("01777777777777777777777"), kPageCounterMax);
  EXPECT_EQ(pages_of("15E"), kPageCounterMax);
  for (const char* text :
       {"18446744073709551616", "99999999999999999999", "0x10000000000000000",
        "02000000000000000000000", "16E", "17179869184G", "16777216T",
        "0x40000000000000K", "02000000000000000000K"}) {
    EXPECT_EQ(pages_of(text), kError) << text;
  }
  EXPECT_EQ(pages_of("17179869183G"), kPageCounterMax);
}

TEST(ParseSize, RefusesWhatIsTooLongToBeASize) {
  EXPECT_EQ(pages_of(std::string(31, '0')), 0);
  EXPECT_EQ(pages_of(std::string(32, '0')), kError);
  EXPECT_EQ(pages_of(std::string(100000, '1')), kError);
}

}  // namespace
}  // namespace umemcg
