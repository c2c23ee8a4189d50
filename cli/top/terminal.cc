#include "cli/top/terminal.h"

#include <ncurses.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <clocale>
#include <cwchar>
#include <cwctype>

namespace umemcg {
namespace {

constexpr short kWarningPair = 1;
constexpr short kAlarmPair = 2;

// What is waited for after an Escape, which other keys begin with.
constexpr int kEscapeMs = 25;

struct Fitted {
  std::wstring text;
  int columns = 0;
};

// The character that says so comes at the end, within that width.
void mark_cut(Fitted* fitted, int width) {
  char bytes[MB_LEN_MAX];
  mbstate_t state = {};
  const wchar_t dots = L'\u2026';
  const bool has_dots =
      std::wcrtomb(bytes, dots, &state) != static_cast<size_t>(-1);
  while (!fitted->text.empty() && fitted->columns >= width) {
    fitted->columns -= std::max(0, ::wcwidth(fitted->text.back()));
    fitted->text.pop_back();
  }
  if (width < 1) return;
  fitted->text += has_dots ? dots : L'~';
  ++fitted->columns;
}

// As much as there is room for. Bytes that are no characters here, and what
// would steer the terminal, are question marks.
Fitted fit(const std::string& text, int width) {
  Fitted fitted;
  mbstate_t state = {};
  for (size_t i = 0; i < text.size();) {
    wchar_t character = L'?';
    size_t used = std::mbrtowc(&character, &text[i], text.size() - i, &state);
    if (used == 0 || used > text.size()) {
      state = {};
      used = 1;
      character = L'?';
    }
    if (!std::iswprint(static_cast<wint_t>(character))) character = L'?';
    const int columns = std::max(0, ::wcwidth(character));
    if (fitted.columns + columns > width) {
      mark_cut(&fitted, width);
      break;
    }
    fitted.text += character;
    fitted.columns += columns;
    i += used;
  }
  return fitted;
}

int special(int key) {
  switch (key) {
    case ERR:
      return kNoKey;
    case KEY_UP:
      return kKeyUp;
    case KEY_DOWN:
      return kKeyDown;
    case KEY_LEFT:
      return kKeyLeft;
    case KEY_RIGHT:
      return kKeyRight;
    case KEY_PPAGE:
      return kKeyPageUp;
    case KEY_NPAGE:
      return kKeyPageDown;
    case KEY_HOME:
      return kKeyHome;
    case KEY_END:
      return kKeyEnd;
    case KEY_BACKSPACE:
    case '\b':
    case 0x7f:
      return kKeyBackspace;
    default:
      return key < 0x100 ? key : kKeyOther;
  }
}

attr_t attribute_of(Tone tone, bool colours) {
  switch (tone) {
    case Tone::kHeading:
      return A_BOLD;
    case Tone::kFaint:
      return A_DIM;
    case Tone::kWarning:
      return colours ? COLOR_PAIR(kWarningPair) : A_BOLD;
    case Tone::kAlarm:
      return colours ? COLOR_PAIR(kAlarmPair) : A_BOLD;
    default:
      return A_NORMAL;
  }
}

}  // namespace

Terminal::Terminal() {
  std::setlocale(LC_CTYPE, "");
  SCREEN* screen = ::newterm(nullptr, stdout, stdin);
  if (screen == nullptr) return;
  ::set_term(screen);
  if (::tigetstr("cup") == nullptr) {  // "dumb": it only goes on
    ::endwin();
    ::delscreen(screen);
    return;
  }
  screen_ = screen;
  ::cbreak();
  ::noecho();
  ::keypad(stdscr, TRUE);
  ::nodelay(stdscr, TRUE);
  ::set_escdelay(kEscapeMs);
  ::curs_set(0);
  colours_ = colours_wanted(STDOUT_FILENO) && ::has_colors();
  if (!colours_) return;
  ::start_color();
  ::use_default_colors();
  ::init_pair(kWarningPair, COLOR_YELLOW, -1);
  ::init_pair(kAlarmPair, COLOR_RED, -1);
}

Terminal::~Terminal() {
  if (screen_ == nullptr) return;
  ::endwin();
  ::delscreen(static_cast<SCREEN*>(screen_));
}

int Terminal::lines() const { return LINES; }
int Terminal::columns() const { return COLS; }

int Terminal::key() { return special(::getch()); }

void Terminal::begin() { ::erase(); }
void Terminal::end() { ::refresh(); }

void Terminal::bar(int line) {
  ::attrset(A_REVERSE);
  mvhline(line, 0, ' ' | A_REVERSE, COLS);
  ::attrset(A_NORMAL);
}

void Terminal::put(int line, int column, const std::string& text, int width,
                   Tone tone, bool right, bool reverse) {
  width = std::min(width, COLS - column);
  if (line < 0 || line >= LINES || width <= 0) return;
  const Fitted fitted = fit(text, width);
  if (right) column += width - fitted.columns;
  ::attrset(static_cast<int>(attribute_of(tone, colours_) |
                             (reverse ? A_REVERSE : A_NORMAL)));
  mvaddnwstr(line, column, fitted.text.c_str(),
             static_cast<int>(fitted.text.size()));
  ::attrset(A_NORMAL);
}

}  // namespace umemcg
