// The report as JSON, for machines: bytes and counts as numbers.
#pragma once

#include <string>

#include "accounting/segment.h"

namespace umemcg {

// {"exit_status": N, "groups": {"/path": {"memory.current": bytes,
//  "memory.max": bytes or "max", "memory.events": {"max": N, ...},
//  "memory.stat": {...}, "processes": N, ...}}}
std::string json_report(Segment& segment, int exit_status);

}  // namespace umemcg
