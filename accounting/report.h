// The report at the end of a run: an aligned table, a group a line. The same
// for `umemcg run --report` and UMEMCG_REPORT.
#pragma once

#include <cstdint>

#include "accounting/segment.h"
#include "base/text.h"

namespace umemcg {

// Calls `line` with each line of the table (with its newline), of the groups
// from `root` on.
void write_report(Segment& segment,
                  void (*line)(const TextBuffer& text, void* arg), void* arg,
                  uint32_t root = kRootGroup);

}  // namespace umemcg
