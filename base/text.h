// A line of text built in a fixed buffer, without malloc, locale or stdio:
// usable inside malloc and in a signal handler. What does not fit is cut.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace umemcg {

class TextBuffer {
 public:
  // `size` counts the final NUL that is always kept; it must not be 0.
  TextBuffer(char* buffer, size_t size) : buffer_(buffer), size_(size) {
    buffer_[0] = '\0';
  }

  TextBuffer& text(const char* s);
  TextBuffer& text(const char* s, size_t length);
  TextBuffer& character(char c) { return text(&c, 1); }
  TextBuffer& number(uint64_t value);
  TextBuffer& signed_number(int64_t value);
  TextBuffer& hex(uint64_t value);
  // "64.0 MiB", for people.
  TextBuffer& bytes(uint64_t value);

  const char* c_str() const { return buffer_; }
  size_t length() const { return length_; }
  // What the text would have needed; more than length() if it was cut.
  size_t wanted() const { return wanted_; }

 private:
  char* buffer_;
  size_t size_;
  size_t length_ = 0;
  size_t wanted_ = 0;
};

// A TextBuffer with its own storage, for messages.
template <size_t kSize>
class Text : public TextBuffer {
 public:
  Text() : TextBuffer(storage_, kSize) {}
  Text(const Text&) = delete;
  Text& operator=(const Text&) = delete;

 private:
  char storage_[kSize];
};

using Line = Text<512>;

// Writes "umemcg: <text>\n" to stderr with one write(2). Not a cancellation
// point; keeps errno.
void print_line(const TextBuffer& text);

}  // namespace umemcg
