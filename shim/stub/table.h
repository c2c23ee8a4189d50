// Where the functions of umemcg.h are for a program that does not link
// libumemcg.so: in the library, if it is in the process, else in a table of
// fallbacks. That is decided once, when the program starts or at the first
// call, and stays: memory goes back to the allocator it came from.
#pragma once

#include <atomic>

#include "base/attributes.h"
#include "shim/api_table.h"

namespace umemcg::stub {

// Null until it is decided.
extern constinit std::atomic<const ApiTable*> g_table;

UMEMCG_COLD const ApiTable* decide_table();

UMEMCG_FAST const ApiTable& table() {
  // acquire: pairs with decide_table().
  const ApiTable* known = g_table.load(std::memory_order_acquire);
  return UMEMCG_LIKELY(known != nullptr) ? *known : *decide_table();
}

// Everything fails with ENOSYS; what allocates is the C library's.
extern const ApiTable kFallbacks;

}  // namespace umemcg::stub
