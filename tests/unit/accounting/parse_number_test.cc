#include "accounting/parse_number.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "accounting/psi_trigger.h"

namespace umemcg {
namespace {

TEST(ParseNumberTest, IsReadAsByTheKernel) {
  struct Row {
    const char* text;
    int error;
    uint64_t value;
  };
  const Row rows[] = {{"0", 0, 0},
                      {"60", 0, 60},
                      {"+5", 0, 5},
                      {"0x10", 0, 16},
                      {"0XfF", 0, 255},
                      {"010", 0, 8},
                      {"18446744073709551615", 0, UINT64_MAX},
                      {"18446744073709551616", ERANGE, 0},
                      {"99999999999999999999999", ERANGE, 0},
                      {"99999999999999999999999x", EINVAL, 0},
                      {"-1", EINVAL, 0},
                      {"", EINVAL, 0},
                      {"+", EINVAL, 0},
                      {"++1", EINVAL, 0},
                      {"0x", EINVAL, 0},
                      {"08", EINVAL, 0},
                      {"1K", EINVAL, 0},
                      {"1 2", EINVAL, 0}};
  for (const Row& row : rows) {
    uint64_t value = 0;
    EXPECT_EQ(parse_u64(row.text, &value), row.error) << row.text;
    if (row.error != 0) continue;
    EXPECT_EQ(value, row.value) << row.text;
  }
  uint32_t number;
  EXPECT_EQ(parse_int("2147483647", &number), 0);
  EXPECT_EQ(parse_int("2147483648", &number), ERANGE);
  EXPECT_EQ(parse_int("-1", &number), ERANGE);
  EXPECT_EQ(parse_int("-0", &number), 0);
  bool on;
  EXPECT_EQ(parse_switch("0x1", &on), 0);
  EXPECT_TRUE(on);
  EXPECT_EQ(parse_switch("2", &on), ERANGE);
  EXPECT_EQ(parse_switch("yes", &on), EINVAL);
}

// Each as the kernel's own memory.pressure took it.
TEST(ParseNumberTest, Triggers) {
  PsiState state;
  uint32_t threshold, window;
  for (const char* text : {"some 150000 2000000", "some  150000   2000000 ",
                           "some 150000 2000000 7", "some 150000 2000000x",
                           "some150000 2000000"}) {
    ASSERT_EQ(parse_psi_trigger(text, &state, &threshold, &window), 0) << text;
    EXPECT_EQ(state, kPsiSome);
    EXPECT_EQ(threshold, 150'000u);
    EXPECT_EQ(window, 2'000'000u);
  }
  EXPECT_EQ(parse_psi_trigger("full 1 500000", &state, &threshold, &window), 0);
  EXPECT_EQ(state, kPsiFull);
  for (const char* text :
       {"x", "", "some", "some x", "somex 1 2", "SOME 150000 2000000",
        "some 1 2", "some 0 2000000", "some 2500000 2000000", "some 1 499999",
        "some 150000 20000000", "some 0x100 2000000", "some -5 2000000",
        "some 4295117296 2000000"}) {
    EXPECT_EQ(parse_psi_trigger(text, &state, &threshold, &window), EINVAL)
        << text;
  }
}

}  // namespace
}  // namespace umemcg
