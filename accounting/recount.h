// Recounting: when a process was killed while it changed counters, they are
// computed anew from the ledgers: usage, the kinds' counters, protected usage
// and its sums, references and counts. Watermark and failcnt stay.
//
// A recount corrects by differences, found while nobody is in a ChargeSection;
// so a charger that goes on meanwhile loses nothing, and a recount that is cut
// off (its process killed) is simply done again.
#pragma once

#include <cstdint>

#include "accounting/segment.h"

namespace umemcg {

struct RecountResult {
  bool done = false;       // false: voided, recount_due says so
  int64_t groups = 0;      // of which a counter was wrong
  int64_t pages = 0;       // by how much, in all
  uint64_t closed_ns = 0;  // the gate
};

// REQUIRES: the segment's lock (tree_change.h).
RecountResult recount(Segment& segment);

// The same if one is due, but not too often while chargers void it (one of them
// may be stopped in a section): after 50 ms, 100 ms ... 10 s. Whether none is
// due any more. REQUIRES: the segment's lock.
bool recount_if_due(Segment& segment);

// Compares without changing anything: how many groups' counters differ from
// the ledgers. -1 if chargers did not come to rest, or if a process has died
// busy and is not reaped. Takes the lock. For tests and `umemcg gc`.
int64_t audit(Segment& segment);

}  // namespace umemcg
