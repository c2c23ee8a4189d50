#include "base/text.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "tests/unit/support/child.h"

namespace umemcg {
namespace {

template <typename Append>
std::string written(Append append) {
  Line line;
  append(line);
  EXPECT_EQ(line.length(), std::strlen(line.c_str()));
  EXPECT_EQ(line.wanted(), line.length());
  return line.c_str();
}

std::string bytes(uint64_t value) {
  return written([&](TextBuffer& out) { out.bytes(value); });
}

TEST(Text, Appends) {
  EXPECT_EQ(written([](TextBuffer&) {}), "");
  EXPECT_EQ(written([](TextBuffer& out) {
              out.text("a").character(' ').text("bcd", 2).text("");
            }),
            "a bc");
}

TEST(Text, WritesNumbers) {
  auto number = [](uint64_t value) {
    return written([&](TextBuffer& out) { out.number(value); });
  };
  EXPECT_EQ(number(0), "0");
  EXPECT_EQ(number(10), "10");
  EXPECT_EQ(number(UINT64_MAX), "18446744073709551615");
  auto signed_number = [](int64_t value) {
    return written([&](TextBuffer& out) { out.signed_number(value); });
  };
  EXPECT_EQ(signed_number(7), "7");
  EXPECT_EQ(signed_number(-1), "-1");
  EXPECT_EQ(signed_number(INT64_MIN), "-9223372036854775808");
  auto hex = [](uint64_t value) {
    return written([&](TextBuffer& out) { out.hex(value); });
  };
  EXPECT_EQ(hex(0), "0x0");
  EXPECT_EQ(hex(0x10a), "0x10a");
  EXPECT_EQ(hex(UINT64_MAX), "0xffffffffffffffff");
}

TEST(Text, WritesBytesForPeople) {
  EXPECT_EQ(bytes(0), "0 bytes");
  EXPECT_EQ(bytes(1023), "1023 bytes");
  EXPECT_EQ(bytes(1024), "1.0 KiB");
  EXPECT_EQ(bytes(1536), "1.5 KiB");
  EXPECT_EQ(bytes((1 << 20) - 1), "1023.9 KiB");
  EXPECT_EQ(bytes(64 << 20), "64.0 MiB");
  EXPECT_EQ(bytes(uint64_t{1} << 40), "1.0 TiB");
  EXPECT_EQ(bytes(UINT64_MAX), "15.9 EiB");
}

TEST(Text, CutsWhatDoesNotFit) {
  char storage[6];
  TextBuffer out(storage, sizeof(storage));
  out.text("abc").number(12345);
  EXPECT_STREQ(out.c_str(), "abc12");
  EXPECT_EQ(out.length(), 5u);
  EXPECT_EQ(out.wanted(), 8u);
  out.character('!').hex(1).bytes(2);
  EXPECT_STREQ(out.c_str(), "abc12");
}

TEST(Text, OneByteHoldsTheNulOnly) {
  char storage[1];
  TextBuffer out(storage, sizeof(storage));
  out.text("abc");
  EXPECT_STREQ(out.c_str(), "");
}

TEST(PrintLine, WritesOneLineAndKeepsErrno) {
  test::ChildOutcome outcome = test::run_child([] {
    Line line;
    errno = 22;
    print_line(line.text("limit ").number(3));
    EXPECT_EQ(errno, 22);
  });
  EXPECT_EQ(outcome.code, 0);
  EXPECT_EQ(outcome.error_text, "umemcg: limit 3\n");
}

// However long, it ends with its newline.
TEST(PrintLine, CutsALongLineBeforeItsEnd) {
  test::ChildOutcome outcome = test::run_child([] {
    Text<4096> line;
    for (int i = 0; i < 300; ++i) line.text("0123456789");
    print_line(line);
  });
  EXPECT_EQ(outcome.code, 0);
  EXPECT_EQ(outcome.error_text.substr(0, 18), "umemcg: 0123456789");
  EXPECT_EQ(outcome.error_text.back(), '\n');
}

TEST(PrintLine, IgnoresAClosedStderr) {
  test::ChildOutcome outcome = test::run_child([] {
    ::close(2);
    errno = 0;
    Line line;
    print_line(line.text("nobody hears this"));
    EXPECT_EQ(errno, 0);
  });
  EXPECT_EQ(outcome.code, 0);
}

}  // namespace
}  // namespace umemcg
