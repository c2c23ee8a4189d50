// The terminal as `top` sees it: the only file that knows ncurses.
#pragma once

#include <string>

#include "cli/colour.h"

namespace umemcg {

// What key() gives beside characters.
inline constexpr int kNoKey = -1;
enum SpecialKey : int {
  kKeyUp = 0x1000,
  kKeyDown,
  kKeyLeft,
  kKeyRight,
  kKeyPageUp,
  kKeyPageDown,
  kKeyHome,
  kKeyEnd,
  kKeyBackspace,
  kKeyOther,  // the terminal has another size, for one
};

// Takes over the terminal of stdin and stdout; puts it back at its end.
class Terminal {
 public:
  Terminal();
  ~Terminal();
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  bool usable() const { return screen_ != nullptr; }
  int lines() const;
  int columns() const;

  // A key that was pressed, or kNoKey. Does not wait.
  int key();

  // What is drawn between the two is shown at the end, and only where it
  // differs from what is there.
  void begin();
  void end();
  // A line in reverse, to be written on.
  void bar(int line);
  // The text in `width` columns: cut, what does not print replaced.
  void put(int line, int column, const std::string& text, int width, Tone tone,
           bool right = false, bool reverse = false);

 private:
  void* screen_ = nullptr;
  bool colours_ = false;
};

}  // namespace umemcg
