// Holding the segment's lock for a change of the tree or of the process table.
// Its holder may be killed anywhere: a mark in the header then tells the next
// one, which repairs what can have been left half done before it goes on.
// They do not nest.
#pragma once

#include "accounting/segment.h"

namespace umemcg {

class TreeChange {
 public:
  // Waits at most `wait_ms` for the lock; held() says whether it was had.
  explicit TreeChange(Segment& segment, uint32_t wait_ms = 2000);
  ~TreeChange();
  TreeChange(const TreeChange&) = delete;
  TreeChange& operator=(const TreeChange&) = delete;

  bool held() const { return held_; }

 private:
  Segment& segment_;
  bool held_;
};

}  // namespace umemcg
