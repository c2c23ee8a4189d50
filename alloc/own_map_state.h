// What a thread is about to have mapped by mimalloc: one state for each
// allocation, so a function of the program that is called in the middle of one
// (callback.h) begins with its own.
#pragma once

#include <cstddef>

#include "base/attributes.h"

namespace umemcg {

struct OwnMapState {
  // In an OwnMapScope.
  bool aligned = false;
  // Bytes of the mapping that was refused because a range should serve it.
  size_t refused = 0;
  int refused_errno = 0;  // the program's, before
};

extern constinit UMEMCG_TLS OwnMapState t_own_map;

}  // namespace umemcg
