#include "base/text.h"

#include "base/sys.h"

namespace umemcg {

TextBuffer& TextBuffer::text(const char* s) { return text(s, std::strlen(s)); }

TextBuffer& TextBuffer::text(const char* s, size_t length) {
  wanted_ += length;
  size_t room = size_ - 1 - length_;
  if (length > room) length = room;
  std::memcpy(buffer_ + length_, s, length);
  length_ += length;
  buffer_[length_] = '\0';
  return *this;
}

TextBuffer& TextBuffer::number(uint64_t value) {
  char digits[20];
  size_t at = sizeof(digits);
  do {
    digits[--at] = static_cast<char>('0' + value % 10);
    value /= 10;
  } while (value != 0);
  return text(digits + at, sizeof(digits) - at);
}

TextBuffer& TextBuffer::signed_number(int64_t value) {
  if (value >= 0) return number(static_cast<uint64_t>(value));
  return character('-').number(uint64_t{0} - static_cast<uint64_t>(value));
}

TextBuffer& TextBuffer::hex(uint64_t value) {
  text("0x");
  int shift = 60;
  while (shift > 0 && (value >> shift) == 0) shift -= 4;
  for (; shift >= 0; shift -= 4) {
    character("0123456789abcdef"[(value >> shift) & 15]);
  }
  return *this;
}

TextBuffer& TextBuffer::bytes(uint64_t value) {
  static constexpr const char* kUnits[] = {" bytes", " KiB", " MiB", " GiB",
                                           " TiB",   " PiB", " EiB"};
  unsigned unit = 0;
  uint64_t tenths = 0;
  while (value >= 1024 && unit < 6) {
    tenths = (value % 1024) * 10 / 1024;
    value /= 1024;
    ++unit;
  }
  number(value);
  if (unit > 0) character('.').number(tenths);
  return text(kUnits[unit]);
}

void print_line(const TextBuffer& text) {
  constexpr size_t kSize = 1024;
  constexpr size_t kMost = kSize - sizeof("umemcg: \n");
  Text<kSize> line;
  size_t length = text.length() < kMost ? text.length() : kMost;
  line.text("umemcg: ").text(text.c_str(), length).character('\n');
  sys::write(2, line.c_str(), line.length());
}

}  // namespace umemcg
