// A table for people: text to the left of its column, numbers to the right.
#pragma once

#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

#include "cli/colour.h"

namespace umemcg {

// Any bytes, in that tone.
struct Cell {
  Cell() = default;
  Cell(std::string words, Tone colour = Tone::kPlain)
      : text(std::move(words)), tone(colour) {}
  Cell(const char* words, Tone colour = Tone::kPlain)
      : text(words), tone(colour) {}

  std::string text;
  Tone tone = Tone::kPlain;
};

class Table {
 public:
  // A letter of `alignment` a column: l or r.
  Table(std::vector<Cell> headings, std::string alignment)
      : alignment_(std::move(alignment)) {
    add(std::move(headings));
  }

  // REQUIRES: as many cells as there are headings.
  void add(std::vector<Cell> cells);
  void print(std::ostream& out) const;

 private:
  std::string alignment_;
  std::vector<std::vector<Cell>> rows_;
};

// "64.0 MiB" for a number of pages; "max" where there is no limit.
std::string size_cell(int64_t pages);

}  // namespace umemcg
