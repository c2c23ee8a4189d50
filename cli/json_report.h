// The report as JSON, for machines: bytes and counts as numbers.
#pragma once

#include <cstdint>
#include <string>

namespace umemcg {

// {"exit_status": N, "groups": {"/path": {"memory.current": bytes,
//  "memory.max": bytes or "max", "memory.events": {"max": N, ...},
//  "memory.stat": {...}, "processes": N, ...}}}; of the groups from `root` on.
std::string json_report(int exit_status, uint32_t root);

}  // namespace umemcg
