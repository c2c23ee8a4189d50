// Single attempts at a charge, without reclaim between them.
#pragma once

#include <cstdint>

#include "reclaim/charge.h"

namespace umemcg {

// Exactly, without the stock. One section: pages that the kind's counter is
// about to refuse are not taken for used by a last look.
bool charge_exactly(ChargeRequest& request);

// From the emergency reserve of the group whose limit refused: small requests
// of the heap, for a while after a refusal, and in the middle of reclaim.
bool charge_reserve(ChargeRequest& request, uint32_t group);

// Over all limits, but not more than counters count. False for a request that
// the kind's counter refused.
bool force_charge(ChargeRequest& request);

// Whether it is known whose limit refused (*group), and that is not below the
// request.
bool may_fit(const ChargeRequest& request, uint32_t* group);

}  // namespace umemcg
