// Fault injection, UMEMCG_FAIL: charges that fail although there is room,
// pressure that nothing has caused, shrinkers that are slow. For tests of
// programs, and of umemcg. Clauses are joined by commas:
//
//   charge:every=N   every Nth charge fails
//   charge:after=N   all charges after the first N fail
//   charge:prob=P    each fails with that probability (0 to 1)
//   pressure:LEVEL   a window of that level (low, medium, critical) in the
//                    group that is charged, every 100 ms at most
//   shrinker:delay=MS  every call of a shrinker takes that much longer
//
// A charge that fails by it does not reclaim, and raises no event. Charges are
// not stocked, so that each counts.
#pragma once

#include <atomic>
#include <cstdint>

#include "accounting/account.h"
#include "base/attributes.h"

namespace umemcg {

// False if the text is not as above: nothing is set then.
bool set_fail(const char* text);

// Whether anything is injected at charges: one load.
extern constinit std::atomic<bool> g_fail_charges;
UMEMCG_FAST bool injecting() {
  return g_fail_charges.load(std::memory_order_relaxed);
}

// Whether this charge is to fail; counts it. REQUIRES: injecting(). The
// allocator asks again before it gives up: until take_injected() or
// end_injected() the thread's charges fail without being counted.
UMEMCG_COLD bool inject_failure(const Account& account);
// The slow half meets a failure that was injected: it does nothing about it.
// An allocation's (`again`) has its end in end_injected(), when it has failed
// for good.
bool take_injected(bool again);
void end_injected();

uint64_t injected_shrinker_delay_ns();

}  // namespace umemcg
