// The last looks before a charge is refused: a refusal is only told when the
// pages are really in use. See stock/press.h.
#pragma once

#include "reclaim/charge.h"

namespace umemcg {

// Charges while nothing is charged ahead in the subtree: so it fails only if
// the pages are in use. Waits 100 ms at most in all of the request's looks;
// with NoWait not at all.
bool last_look(ChargeRequest& request);

}  // namespace umemcg
