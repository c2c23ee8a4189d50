#include "cli/table.h"

#include <algorithm>

#include "base/text.h"
#include "base/units.h"
#include "cli/printable.h"

namespace umemcg {
namespace {

// Columns that a text takes on a terminal: a UTF-8 character is one.
size_t width_of(const Cell& cell) {
  size_t width = 0;
  for (const char c : cell.text) {
    width += (static_cast<unsigned>(c) & 0xc0) != 0x80;
  }
  return width;
}

}  // namespace

void Table::add(std::vector<Cell> cells) {
  for (Cell& cell : cells) cell.text = printable(cell.text);
  rows_.push_back(std::move(cells));
}

void Table::print(std::ostream& out) const {
  std::vector<size_t> widths(rows_[0].size(), 0);
  for (const auto& row : rows_) {
    for (size_t i = 0; i < row.size(); ++i) {
      widths[i] = std::max(widths[i], width_of(row[i]));
    }
  }
  for (const auto& row : rows_) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      const std::string pad(widths[i] - width_of(row[i]), ' ');
      line += i == 0 ? "" : "  ";
      const std::string text = painted(row[i].tone, row[i].text);
      line += alignment_[i] == 'r' ? pad + text : text + pad;
    }
    // (A name may end in blanks, but is not the last in its line then.)
    line.erase(line.find_last_not_of(' ') + 1);
    out << line << '\n';
  }
}

std::string size_cell(int64_t pages) {
  if (pages >= kPageCounterMax) return "max";
  Text<32> text;
  text.bytes(static_cast<uint64_t>(std::max<int64_t>(pages, 0)) << kPageShift);
  return text.c_str();
}

}  // namespace umemcg
