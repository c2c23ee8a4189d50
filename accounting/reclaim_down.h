// Reclaim for whoever writes a limit: the kernel's loops around
// try_to_free_mem_cgroup_pages.
//
// A write never hangs: each round of reclaim is bounded, and so are rounds. A
// signal to the calling process does not interrupt it, its handler runs
// meanwhile (of another writer it is known: Writer::interrupted); nothing is
// locked, so a writer may be killed anywhere.
#pragma once

#include <cstdint>

#include "accounting/control_file.h"
#include "accounting/segment.h"

namespace umemcg {

inline constexpr int kMaxReclaimRetries = 16;
// Rounds in which something was reclaimed end too: others may take it.
inline constexpr int kMostReclaimRounds = 1024;

// What is charged ahead in the subtree goes back.
void drain_subtree(Segment& segment, uint32_t group);

// A round of reclaim, and the pages that came of it. Processes that have
// answered none in time may be about to: a fruitless round in a domain is
// followed by a pause.
int64_t reclaim_round(Segment& segment, uint32_t group, int64_t pages,
                      bool proactive);

// Brings the usage down to `limit` pages: drains, then reclaims until that many
// rounds got nothing, or the writer is to stop. Whether it is there.
bool reclaim_down(Segment& segment, uint32_t group, int64_t limit,
                  const Writer& writer);

}  // namespace umemcg
