// Sizes as people write them, for the environment and the command line:
// page_counter_memparse, with blanks around allowed, and with the mistakes
// refused that the kernel lets pass (no digits, more than 2^64 bytes).
#pragma once

#include <cstdint>

namespace umemcg {

// 0 and the pages (rounded down; "max" is kPageCounterMax), or -EINVAL.
int parse_size(const char* text, int64_t* pages);

}  // namespace umemcg
