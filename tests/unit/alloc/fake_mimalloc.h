// What alloc/range.cc and alloc/own_map.cc call of mimalloc, for tests that do
// not have it: a range that is managed is noted, and its records (the first
// slice) are committed, as mimalloc does.
#pragma once

#include <mimalloc.h>

#include <cstddef>
#include <vector>

namespace umemcg {

struct ManagedRange {
  char* start;
  size_t size;
  mi_commit_fun_t* commit;
  void* argument;

  bool commit_pages(size_t page, size_t count, bool* is_zero) const;
  void decommit_pages(size_t page, size_t count) const;
};

extern std::vector<ManagedRange> g_managed_ranges;
// Whether ranges are taken.
extern bool g_takes_ranges;

}  // namespace umemcg
