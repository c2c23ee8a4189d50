// Charge statistics of a group, the source of memory.stat.
//
// A thread counts into its own line (stock_line in layout.h), for one group
// at a time, and passes the sums on when it turns to another group or ends;
// nothing is counted on a stock hit. A reader adds the lines, the ledgers and
// what ended threads and processes left in the group. The parts are read one
// after the other, so an amount may be off by what moved meanwhile; it is
// never shown negative.
#pragma once

#include <atomic>
#include <cstdint>

namespace umemcg {

enum class Stat : uint8_t {
  // Amounts, in pages: they end with the process that holds them.
  kUsed,     // handed out (in the root group: the allocator's own records)
  kCached,   // free but resident
  kAnonThp,  // of the used and cached: in 512-page compounds
  // Counts: they stay when a process ends.
  kPgpgin,      // charges (one per commit, whatever its size)
  kPgpgout,     // uncharges
  kPageEvents,  // pages that were charged or uncharged
  kCommitted,   // pages committed that were not resident before
  kPurged,      // pages given back to the system
  kCharged,     // pages charged to the counter
  kUncharged,   // pages uncharged from the counter
  kPgscan,      // cached pages that reclaim looked at
  kPgsteal,     // and gave back
  kRefault,     // pages committed again after reclaim had taken them
};
inline constexpr int kStats = 13;
inline constexpr int kAmounts = 3;

constexpr bool is_amount(int stat) { return stat < kAmounts; }

using StatArray = std::atomic<int64_t>[kStats];

}  // namespace umemcg
