// A page counter as one would write it without atomics or offsets: what
// PageCounter is compared with. Written from the description in
// tests/vectors/page_counter/README.md, not from the code.
#pragma once

#include <cstdint>
#include <vector>

#include "base/units.h"

namespace umemcg::model {

struct Node {
  int parent = -1;
  bool protection = false;
  int64_t usage = 0;
  int64_t max = kPageCounterMax;
  int64_t min = 0;
  int64_t low = 0;
  int64_t reserve = 0;
  int64_t watermark = 0;
  uint64_t failcnt = 0;
  int64_t min_usage = 0;
  int64_t low_usage = 0;
  int64_t children_min_usage = 0;
  int64_t children_low_usage = 0;
  int64_t emin = 0;
  int64_t elow = 0;
};

class Tree {
 public:
  void add(int parent, bool protection) {
    nodes_.push_back({});
    nodes_.back().parent = parent;
    nodes_.back().protection = protection;
  }
  int size() const { return static_cast<int>(nodes_.size()); }
  Node& operator[](int id) { return nodes_[static_cast<size_t>(id)]; }

  void charge(int id, int64_t pages);
  // The node that refuses, or -1.
  int try_charge(int id, int64_t pages, bool with_reserve, bool count_failure);
  void uncharge(int id, int64_t pages);
  // Whether the limit was taken.
  bool set_max(int id, int64_t pages);
  void set_min(int id, int64_t pages);
  void set_low(int id, int64_t pages);
  void reset_watermark(int id) { (*this)[id].watermark = (*this)[id].usage; }
  void protect(int root, int id, bool recursive);

 private:
  void update_protected_usage(int id);
  void take(int id, int64_t pages, bool protection);
  void give(int id, int64_t pages);

  std::vector<Node> nodes_;
};

}  // namespace umemcg::model
