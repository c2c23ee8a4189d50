// The page table of another process, read out of its memory
// (accounting/page_words.h). What it says is not trusted: nothing in it makes
// the reader reach beyond its own memory, or go on without end.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <vector>

#include "accounting/page_words.h"

namespace umemcg {

// Whom an owner in the page table stands for.
struct Owner {
  uint32_t group;  // index; what is charged
  bool inherited;  // by the parent from which the process was forked
};

class RemoteTables {
 public:
  explicit RemoteTables(pid_t pid) : pid_(pid) {}

  // Reads the descriptors that lie at these addresses. 0 or an error number:
  // EPERM (its memory may not be read), ESRCH (it is gone), EINVAL (there is
  // nothing there that makes sense).
  int open(uint64_t page_table, uint64_t accounts);

  // Calls visit(slice's address, word) for each slice in [start, end) that has
  // an owner. 0 or an error number.
  int for_each_slice(uint64_t start, uint64_t end,
                     const std::function<void(uint64_t, SliceWord)>& visit);

  // The owner with that id. 0 or an error number.
  int find_owner(uint32_t id, Owner* owner);

 private:
  int read(uint64_t address, void* out, size_t size);
  int read_leaf(uint64_t index);

  pid_t pid_;
  PageTableMap map_{};
  AccountMap accounts_{};
  uint64_t leaf_index_ = UINT64_MAX;  // of the leaf in leaf_
  std::vector<char> leaf_;            // its rows; empty: none was ever needed
  std::map<uint32_t, Owner> owners_;
};

}  // namespace umemcg
