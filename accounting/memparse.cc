#include <cerrno>
#include <cstring>

#include "accounting/page_counter.h"

namespace umemcg {
namespace {

int digit_of(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return 99;
}

unsigned radix_of(const char** text) {
  const char* s = *text;
  if (s[0] != '0') return 10;
  if ((s[1] == 'x' || s[1] == 'X') && digit_of(s[2]) < 16) {
    *text += 2;
    return 16;
  }
  return 8;
}

// Left shift of a suffix letter, or -1.
int suffix_shift(char c) {
  static constexpr char kLetters[] = "KMGTPE";
  char upper = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  const char* found = upper != '\0' ? std::strchr(kLetters, upper) : nullptr;
  return found != nullptr ? static_cast<int>(10 * (found - kLetters + 1)) : -1;
}

}  // namespace

int page_counter_memparse(const char* text, const char* unlimited,
                          int64_t* pages) {
  if (std::strcmp(text, unlimited) == 0) {
    *pages = kPageCounterMax;
    return 0;
  }
  const unsigned radix = radix_of(&text);
  uint64_t bytes = 0;
  for (; static_cast<unsigned>(digit_of(*text)) < radix; ++text) {
    bytes = bytes * radix + static_cast<uint64_t>(digit_of(*text));
  }
  int shift = suffix_shift(*text);
  if (shift > 0) {
    bytes <<= shift;
    ++text;
  }
  if (*text != '\0') return -EINVAL;
  uint64_t count = bytes >> kPageShift;
  *pages = count < static_cast<uint64_t>(kPageCounterMax)
               ? static_cast<int64_t>(count)
               : kPageCounterMax;
  return 0;
}

}  // namespace umemcg
