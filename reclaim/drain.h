// Taking back what threads have charged ahead: drain_all_stock.
#pragma once

#include <cstdint>

namespace umemcg {

enum class Waiting { kMay, kMayNot };

// Takes back the stocks of all threads of all processes for the subtree of
// `group`, and the bytes that this process's threads have left of pages. One at
// a time in the domain: who finds another at it waits for its end, 10 ms at
// most, or not at all. The pages.
int64_t drain_stocks(uint32_t group, Waiting waiting);

}  // namespace umemcg
