#include "cli/top/screen.h"

#include <unistd.h>

#include <algorithm>

#include "base/sys.h"
#include "cli/ending.h"
#include "cli/top/terminal.h"

namespace umemcg {
namespace {

// Lines above the rows: two that say what is shown, and the headings.
constexpr int kHeadLines = 3;
constexpr int kFootLines = 2;
constexpr int kNarrowest = 14;  // of the first column

constexpr const char* kKeys[] = {
    "u g e s n      sort by usage, growth, events, stall, name",
    "up, down, page up, page down, home, end   choose a row",
    "left, right    fold and unfold it",
    "F              fold or unfold all",
    "t              all in one order, or as a tree",
    "p              processes, or none",
    "space          pause, go on",
    "q              quit",
    "of a recording:",
    ", .            a sample back, on; < > by ten",
    "j              jump to a sample's number or to HH:MM:SS",
    "",
    "any key goes back",
};

constexpr int kEnter = '\n';
constexpr int kEscape = 27;

class Screen {
 public:
  Screen(Feed& feed, ViewOptions options, double interval_s)
      : feed_(feed),
        options_(std::move(options)),
        interval_s_(interval_s),
        interval_ns_(static_cast<uint64_t>(interval_s * 1e9)) {}

  ScreenEnd run() {
    const Ending ending;  // before ncurses, which would take the signals
    if (!feed_.next()) return ScreenEnd::kNoMore;
    Terminal terminal;
    if (!terminal.usable()) return ScreenEnd::kNoScreen;
    terminal_ = &terminal;
    uint64_t due = sys::monotonic_ns() + interval_ns_;
    while (!quit_ && !ending.asked()) {
      draw();
      ending.wait(due, STDIN_FILENO);
      for (int key = terminal.key(); key != kNoKey; key = terminal.key()) {
        press(key);
      }
      if (sys::monotonic_ns() < due) continue;
      due = sys::monotonic_ns() + interval_ns_;
      if (!advance()) return ScreenEnd::kNoMore;
    }
    return ScreenEnd::kQuit;
  }

 private:
  // False if what is shown cannot go on: the domain has gone, or a line of the
  // recording is broken.
  bool advance() {
    if (paused_) return true;
    if (feed_.next()) return true;
    if (!feed_.recorded() || !feed_.error().empty()) return false;
    paused_ = true;  // at the end
    return true;
  }

  void draw() {
    rows_ = view_rows(feed_.now(), feed_.before(), options_);
    find_selected();
    terminal_->begin();
    draw_head();
    const int room = std::max(1, terminal_->lines() - kHeadLines - kFootLines);
    const int count = static_cast<int>(rows_.size());
    first_ = std::clamp(first_, selected_ - room + 1, selected_);
    first_ = std::clamp(first_, 0, std::max(0, count - room));
    for (int i = 0; i < room && first_ + i < count && !keys_; ++i) {
      draw_row(kHeadLines + i, first_ + i);
    }
    if (keys_) draw_keys();
    draw_foot();
    terminal_->end();
  }

  // The row that was selected may be elsewhere by now, or gone.
  void find_selected() {
    const auto at =
        std::find_if(rows_.begin(), rows_.end(), [this](const ViewRow& row) {
          return row.group->path == path_ &&
                 (row.process != nullptr ? row.process->pid : -1) == pid_;
        });
    if (at != rows_.end()) selected_ = static_cast<int>(at - rows_.begin());
    select(selected_);
  }

  void select(int row) {
    if (rows_.empty()) return;
    selected_ = std::clamp(row, 0, static_cast<int>(rows_.size()) - 1);
    const ViewRow& at = rows_[static_cast<size_t>(selected_)];
    path_ = at.group->path;
    pid_ = at.process != nullptr ? at.process->pid : -1;
  }

  void draw_head() {
    const Sample& now = feed_.now();
    char interval[32];
    std::snprintf(interval, sizeof(interval), "%s %.3g s",
                  feed_.recorded() ? "one shown each" : "every", interval_s_);
    std::string line = "umemcg " +
                       std::string(feed_.recorded() ? "replay" : "top") + "  " +
                       time_of(now, feed_.recorded()) + "  " + interval;
    if (feed_.recorded()) line += "  " + feed_.place();
    if (paused_) line += "  paused";
    terminal_->put(0, 0, line, terminal_->columns(), Tone::kHeading);
    terminal_->put(1, 0, now.domain + ": " + summary_of(now),
                   terminal_->columns(), Tone::kPlain);
    terminal_->bar(2);
    int column = 0;
    for (size_t i = 0; i < kColumns; ++i) {
      const Column& heading = kViewColumns[i];
      const bool sorted = heading.key == options_.sort;
      put_cell(2, i, &column, std::string(sorted ? "*" : "") + heading.heading,
               Tone::kHeading, true);
    }
  }

  void draw_row(int line, int row) {
    const bool selected = row == selected_;
    if (selected) terminal_->bar(line);
    int column = 0;
    const std::vector<Cell> cells =
        cells_of(rows_[static_cast<size_t>(row)], options_);
    for (size_t i = 0; i < cells.size(); ++i) {
      put_cell(line, i, &column, cells[i].text,
               selected ? Tone::kPlain : cells[i].tone, selected);
    }
  }

  void draw_keys() {
    int line = kHeadLines;
    for (const char* text : kKeys) {
      terminal_->put(line++, 0, text, terminal_->columns(), Tone::kPlain);
    }
  }

  // What the first column has: what the others leave.
  int first_width() const {
    int others = 0;
    for (const Column& column : kViewColumns) {
      if (column.width != 0) others += static_cast<int>(column.width) + 1;
    }
    return std::max(kNarrowest, terminal_->columns() - others);
  }

  // Those for which there is no room are left out.
  void put_cell(int line, size_t index, int* column, const std::string& text,
                Tone tone, bool bar) {
    const bool name = kViewColumns[index].width == 0;
    const int width =
        name ? first_width() : static_cast<int>(kViewColumns[index].width) + 1;
    if (*column + width <= terminal_->columns() || name) {
      terminal_->put(line, *column, text, width, tone, !name, bar);
    }
    *column += width;
  }

  void draw_foot() {
    std::string above = "sort: u usage  g growth  e events  s stall  n name";
    if (feed_.recorded()) {
      above = ", . back, on  < > by ten  j jump  " + above;
    }
    std::string below =
        "q quit  ? keys  left, right fold  F fold all  t tree  p processes  "
        "space pause";
    Tone tone = Tone::kFaint;
    if (asking_ || !note_.empty()) {
      tone = Tone::kHeading;
      below = asking_
                  ? "jump to a sample's number or to HH:MM:SS: " + answer_ + "_"
                  : note_;
    }
    const int line = terminal_->lines() - kFootLines;
    terminal_->put(line, 0, above, terminal_->columns(), Tone::kFaint);
    terminal_->put(line + 1, 0, below, terminal_->columns(), tone);
  }

  void press(int key) {
    note_.clear();
    if (keys_) {
      keys_ = key == kKeyOther;  // the size has changed
    } else if (asking_) {
      answer(key);
    } else if (!steer(key) && !choose(key)) {
      replay(key);
    }
  }

  // Where in the rows.
  bool steer(int key) {
    const int page = std::max(1, terminal_->lines() - kHeadLines - kFootLines);
    const int by = key == kKeyUp         ? -1
                   : key == kKeyDown     ? 1
                   : key == kKeyPageUp   ? -page
                   : key == kKeyPageDown ? page
                   : key == kKeyHome     ? -selected_
                   : key == kKeyEnd      ? static_cast<int>(rows_.size())
                                         : 0;
    if (by != 0) select(selected_ + by);
    return by != 0;
  }

  // What is shown, and in which order.
  bool choose(int key) {
    switch (key) {
      case 'q':
        quit_ = true;
        return true;
      case 'u':
        options_.sort = SortKey::kByUsage;
        return true;
      case 'g':
        options_.sort = SortKey::kByGrowth;
        return true;
      case 'e':
        options_.sort = SortKey::kByEvents;
        return true;
      case 's':
        options_.sort = SortKey::kByStall;
        return true;
      case 'n':
        options_.sort = SortKey::kByName;
        return true;
      case kKeyLeft:
        fold(true);
        return true;
      case kKeyRight:
        fold(false);
        return true;
      case 'F':
        fold_all();
        return true;
      case 't':
        options_.flat = !options_.flat;
        return true;
      case 'p':
        options_.processes = !options_.processes;
        return true;
      case '?':
      case 'h':
        keys_ = true;
        return true;
      case ' ':
        paused_ = !paused_;
        return true;
      default:
        return false;
    }
  }

  // A group that cannot be folded: the one above it is turned to.
  void fold(bool close) {
    if (rows_.empty()) return;
    const auto at = static_cast<size_t>(selected_);
    if (!close) {
      options_.folded.erase(rows_[at].group->path);
    } else if (rows_[at].foldable && !rows_[at].folded) {
      options_.folded.insert(rows_[at].group->path);
    } else {
      for (size_t i = at; i-- > 0;) {
        if (rows_[i].indent < rows_[at].indent)
          return select(static_cast<int>(i));
      }
    }
  }

  // All but the first, or none if any is.
  void fold_all() {
    if (!options_.folded.empty()) {
      options_.folded.clear();
      return;
    }
    for (const ViewRow& row : rows_) {
      if (row.foldable && row.indent > 0) {
        options_.folded.insert(row.group->path);
      }
    }
  }

  void replay(int key) {
    if (!feed_.recorded()) return;
    const int by = key == '.'   ? 1
                   : key == ',' ? -1
                   : key == '>' ? 10
                   : key == '<' ? -10
                                : 0;
    if (by != 0) {
      paused_ = true;
      feed_.move(by);
      note_ = feed_.error();
    } else if (key == 'j') {
      asking_ = true;
      answer_.clear();
    }
  }

  void answer(int key) {
    if (key == kEnter || key == '\r') {
      asking_ = false;
      paused_ = true;
      if (!feed_.jump(answer_)) {
        note_ = "'" + answer_ + "' is no number of a sample, and no time";
      } else {
        note_ = feed_.error();
      }
    } else if (key == kEscape) {
      asking_ = false;
    } else if (key == kKeyBackspace) {
      if (!answer_.empty()) answer_.pop_back();
    } else if ((key >= '0' && key <= '9') || key == ':') {
      answer_ += static_cast<char>(key);
    }
  }

  Feed& feed_;
  ViewOptions options_;
  const double interval_s_;
  const uint64_t interval_ns_;
  Terminal* terminal_ = nullptr;
  std::vector<ViewRow> rows_;
  std::string path_ = "/";  // of the row that is selected
  int pid_ = -1;
  int selected_ = 0, first_ = 0;
  bool quit_ = false, paused_ = false;
  bool asking_ = false, keys_ = false;
  std::string answer_, note_;
};

}  // namespace

ScreenEnd show_screen(Feed& feed, ViewOptions options, double interval_s) {
  return Screen(feed, std::move(options), interval_s).run();
}

}  // namespace umemcg
