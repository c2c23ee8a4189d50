// Whether another process maps this segment's file: what a slot says about a
// process anybody may have written who may write the file, but what the kernel
// says of its mappings nobody.
//
// Files are compared as /proc/PID/maps names them: on some file systems stat
// says another device there.
#pragma once

#include <cstdint>

#include "accounting/segment.h"

namespace umemcg {

class MappedFile {
 public:
  // What the caller itself has mapped.
  explicit MappedFile(Segment& segment);

  // False also if that cannot be told: another user's process may not be looked
  // at by everybody, nor may one that keeps its memory from its own user
  // (PR_SET_DUMPABLE).
  bool mapped_by(int32_t pid) const;

 private:
  uint64_t device_ = 0;
  uint64_t inode_ = 0;  // 0: nothing is known
};

}  // namespace umemcg
