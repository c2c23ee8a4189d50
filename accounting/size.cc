#include "accounting/size.h"

#include <cerrno>
#include <cstring>

#include "accounting/page_counter.h"

namespace umemcg {
namespace {

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Whether the bytes do not fit 64 bits: the digits alone, or what the suffix
// shifts them to.
bool overflows(const char* number) {
  constexpr uint64_t kMost = UINT64_MAX;
  unsigned radix = 10;
  if (number[0] == '0') {
    bool hex = number[1] == 'x' || number[1] == 'X';
    radix = hex ? 16 : 8;
    if (hex) number += 2;
  }
  uint64_t value = 0;
  for (;; ++number) {
    char c = *number;
    unsigned digit = is_digit(c) ? static_cast<unsigned>(c - '0') : 99;
    if (radix == 16 && c >= 'a' && c <= 'f') digit = 10u + unsigned(c - 'a');
    if (radix == 16 && c >= 'A' && c <= 'F') digit = 10u + unsigned(c - 'A');
    if (digit >= radix) break;
    if (value > (kMost - digit) / radix) return true;
    value = value * radix + digit;
  }
  static constexpr char kLetters[] = "kKmMgGtTpPeE";
  const char* letter =
      *number != '\0' ? std::strchr(kLetters, *number) : nullptr;
  if (letter == nullptr) return false;
  unsigned shift = 10 * static_cast<unsigned>((letter - kLetters) / 2 + 1);
  return value > kMost >> shift;
}

}  // namespace

int parse_size(const char* text, int64_t* pages) {
  while (is_blank(*text)) ++text;
  size_t length = std::strlen(text);
  while (length > 0 && is_blank(text[length - 1])) --length;
  char number[32];
  if (length == 0 || length >= sizeof(number)) return -EINVAL;
  std::memcpy(number, text, length);
  number[length] = '\0';
  if (std::strcmp(number, "max") != 0 &&
      (!is_digit(number[0]) || overflows(number))) {
    return -EINVAL;
  }
  return page_counter_memparse(number, "max", pages);
}

}  // namespace umemcg
