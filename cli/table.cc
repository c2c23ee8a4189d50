#include "cli/table.h"

#include <algorithm>

#include "base/text.h"
#include "base/units.h"

namespace umemcg {
namespace {

// Columns that a text takes on a terminal: a UTF-8 character is one.
size_t width_of(const std::string& text) {
  auto begins = [](char c) {
    return (static_cast<unsigned>(c) & 0xc0) != 0x80;
  };
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), begins));
}

}  // namespace

void Table::print(std::ostream& out) const {
  std::vector<size_t> widths(rows_[0].size(), 0);
  for (const auto& row : rows_) {
    for (size_t i = 0; i < row.size(); ++i) {
      widths[i] = std::max(widths[i], width_of(row[i]));
    }
  }
  for (const auto& row : rows_) {
    for (size_t i = 0; i < row.size(); ++i) {
      const std::string pad(widths[i] - width_of(row[i]), ' ');
      out << (i == 0 ? "" : "  ");
      if (alignment_[i] == 'r') {
        out << pad << row[i];
      } else {
        // Nothing follows the last column.
        out << row[i] << (i + 1 < row.size() ? pad : "");
      }
    }
    out << '\n';
  }
}

std::string size_cell(int64_t pages) {
  if (pages >= kPageCounterMax) return "max";
  Text<32> text;
  text.bytes(static_cast<uint64_t>(std::max<int64_t>(pages, 0)) << kPageShift);
  return text.c_str();
}

}  // namespace umemcg
