// The slow half of try_charge: what happens when a charge fails. It runs in
// mimalloc's callback, between the refusal and the second try, where freeing
// and collecting are allowed.
//
//   max event, failcnt
//   rounds: purge the cached pages of the subtree under the limit, collect
//     this thread's heaps, drain all stocks, give back what dead processes
//     had; charge again. At most 16 fruitless rounds.
//   then the emergency reserve, for small requests after a refusal
//   else ENOMEM: oom event, one line on stderr for the first
#pragma once

#include <cstdint>

namespace umemcg {

enum class OomPolicy : uint8_t { kFail, kKill };

struct ReclaimSettings {
  bool report_refusal = true;  // UMEMCG_VERBOSE
  OomPolicy oom = OomPolicy::kFail;
};

// Installs the slow half (stock/charge.h).
void install_reclaim(const ReclaimSettings& settings);

}  // namespace umemcg
