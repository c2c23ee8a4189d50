// The slow half of try_charge: what happens when a charge fails. It runs where
// freeing, collecting and sleeping are allowed: for the heap in mimalloc's
// callback, between the refusal and the second try, for objects in the call.
// Step by step as try_charge_memcg (reclaim/charge.cc).
//
// Flags (stock/current.h):
//
//   NoWait        of all that a drain only: no reclaim, no waiting
//   NoRetry       one pass, then ENOMEM
//   RetryMayFail  all passes, then ENOMEM; like the two above without the
//                 out-of-memory policy: no oom event, no line, no kill
//   NoFail        instead of ENOMEM it goes over the limit
#pragma once

#include <cstdint>

#include "accounting/account.h"
#include "accounting/kind.h"
#include "reclaim/reclaim.h"

namespace umemcg {

struct ReclaimSettings {
  bool report_refusal = true;  // UMEMCG_VERBOSE
};

// Installs the slow half (stock/charge.h).
void install_reclaim(const ReclaimSettings& settings);

// A charge that is wanted.
struct ChargeRequest {
  Account* account;
  int64_t pages;
  uint32_t flags;  // ChargeFlag
  // Pages of some kinds are charged to a counter of its own as well.
  Kind kind = Kind::kHeap;
  // May have the emergency reserve: memory with which to unwind.
  bool reserve = false;
  // The counter of the group or an ancestor that refused.
  PageCounter* failed = nullptr;
  // It was the kind's counter: reclaim is of no use.
  bool kind_refused = false;
  // What reclaim got for it so far.
  Reclaimed got = {};
  // Until when those in the middle of a charge are waited for (last_look.h).
  uint64_t looks_until_ns = 0;
  // Of its out of memory (oom.h): until when it waits; how often the program
  // was asked, since the usage was at its lowest and in all.
  uint64_t oom_deadline_ns = 0;
  bool oom_waited = false;  // for somebody who was dying already
  int oom_calls = 0;
  int oom_all_calls = 0;
  int64_t oom_usage = INT64_MAX;

  bool may(uint32_t flag) const { return (flags & flag) != 0; }
};

// Charges the request through the thread's stock; false if it is refused.
bool charge_through_stock(ChargeRequest& request);

// Charges what was refused with reclaim; false for ENOMEM. errno is kept.
bool charge_with_reclaim(ChargeRequest& request);

}  // namespace umemcg
