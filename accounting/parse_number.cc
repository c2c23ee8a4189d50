#include "accounting/parse_number.h"

#include <cerrno>
#include <climits>

namespace umemcg {
namespace {

unsigned digit_of(char c) {
  if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a' + 10);
  if (c >= 'A' && c <= 'F') return static_cast<unsigned>(c - 'A' + 10);
  return UINT_MAX;
}

// Digits to the end of the text, with what says how they are meant.
int parse_digits(const char* text, uint64_t* value) {
  unsigned radix = 10;
  if (text[0] == '0' && text[1] != '\0') {
    const bool hex = text[1] == 'x' || text[1] == 'X';
    radix = hex ? 16 : 8;
    if (hex) text += 2;
  }
  if (*text == '\0') return EINVAL;
  bool fits = true;
  *value = 0;
  for (; *text != '\0'; ++text) {
    const unsigned digit = digit_of(*text);
    if (digit >= radix) return EINVAL;
    fits = fits && *value <= (UINT64_MAX - digit) / radix;
    if (fits) *value = *value * radix + digit;
  }
  return fits ? 0 : ERANGE;
}

}  // namespace

int parse_int(const char* text, uint32_t* value) {
  const bool negative = *text == '-';
  if (negative || *text == '+') ++text;
  uint64_t number;
  const int error = parse_digits(text, &number);
  if (error != 0) return error;
  if (number > INT_MAX || (negative && number != 0)) return ERANGE;
  *value = static_cast<uint32_t>(number);
  return 0;
}

int parse_u64(const char* text, uint64_t* value) {
  if (*text == '+') ++text;
  return parse_digits(text, value);
}

int parse_switch(const char* text, bool* on) {
  uint32_t number;
  const int error = parse_int(text, &number);
  if (error != 0) return error;
  if (number > 1) return ERANGE;
  *on = number != 0;
  return 0;
}

}  // namespace umemcg
