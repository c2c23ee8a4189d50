// A charge has found nothing to reclaim: mem_cgroup_oom. The policy of the
// group whose limit refused says what happens (accounting/oom_policy.h).
#pragma once

#include <cstdint>

#include "accounting/refusal.h"
#include "accounting/victim.h"
#include "reclaim/charge.h"

namespace umemcg {

enum class OomVerdict {
  kRetry,     // there may be room now: all retries begin anew
  kNoMemory,  // the charge fails
};

// Raises the `oom` event with `group`, whose limit refused the request, and
// does what its policy says:
//
//   kill      one at a time in the domain (the lease `oom_lease`): others wait
//             for it, 500 ms at most, and so does the killer for the victim's
//             end; then there may be room. While somebody is on its way out,
//             nobody else is killed, and no event raised.
//   callback  one call at a time in the process; who cannot have it within
//             500 ms, and finds no room meanwhile, fails. At most 16 in a row
//             without the usage falling below what it was, and 256 in all.
//   wait      until there is room, by looking; not in a queue, so a small
//             request does not wait for a large one. One event a wait, and one
//             deadline, however often the charge is tried again.
//
// A kill is written down (record_refusal) before the signal; other failures are
// the caller's to write down. Never called in a callback or with a flag that
// says how to fail, with no lock held.
OomVerdict out_of_memory(ChargeRequest& request, uint32_t group);

// What a refusal that stays one is called, by the group's policy.
Outcome oom_outcome(uint32_t group);

// What the policy `callback` calls: a function of the program, and how to call
// it, which shim/ knows. Nonzero: room was made.
struct OomCallback {
  int (*call)(const OomCallback& callback, Account& limiting, int64_t pages);
  void (*function)();
  void* argument;
};

// Null `call`: none. Waits for a call under way, unless it is the caller's. 0;
// or EDEADLK: the caller is in a shrinker, for whose end that call may wait,
// and has waited for 500 ms.
int set_oom_callback(const OomCallback& callback);

// In the child of a fork: the thread that was in the callback is not here.
void reset_oom();
// The callback ends its thread.
void abandon_oom_callback();

}  // namespace umemcg
