// A table for people: text to the left of its column, numbers to the right.
#pragma once

#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

namespace umemcg {

class Table {
 public:
  // A letter of `alignment` a column: l or r.
  Table(std::vector<std::string> headings, std::string alignment)
      : alignment_(std::move(alignment)), rows_{std::move(headings)} {}

  // REQUIRES: as many cells as there are headings.
  void add(std::vector<std::string> cells) {
    rows_.push_back(std::move(cells));
  }
  void print(std::ostream& out) const;

 private:
  std::string alignment_;
  std::vector<std::vector<std::string>> rows_;
};

// "64.0 MiB" for a number of pages; "max" where there is no limit.
std::string size_cell(int64_t pages);

}  // namespace umemcg
