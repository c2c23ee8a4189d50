// Charges by the byte, for objects that are not heap pages: obj_cgroup_charge
// and obj_cgroup_uncharge. What is left of a page that was charged is kept for
// the thread's next object (stock/obj_stock.h), so a small object costs one
// compare-and-swap; whole pages go through the page stock to the group's
// counter, those of kind kmem and sock also to its counter of that kind.
//
// Thread safety: any thread, any portion: what one has charged, others may
// uncharge. The account may be stale (its group removed): what is charged to it
// is its ancestor's. Async-signal-safe with kChargeNoWait, which is what a
// signal handler must use: without it a failing charge enters the allocator.
#pragma once

#include <cstddef>
#include <cstdint>

#include "accounting/account.h"
#include "accounting/kind.h"

namespace umemcg {

// Charges `bytes` (0: nothing), with the flags given (ChargeFlag) and those of
// the thread. 0, ENOMEM (at a limit, of the group's or of the kind's counter,
// or more than any counter counts; nothing is charged), EINVAL (no such kind
// or flag). errno is kept. REQUIRES: the account is not inherited.
int charge_object(Account& account, Kind kind, size_t bytes, uint32_t flags);

// Takes back `bytes`; nothing for an inherited account. What is more than was
// charged is ignored, and said once, as far as it can be told.
void uncharge_object(Account& account, Kind kind, size_t bytes);

}  // namespace umemcg
