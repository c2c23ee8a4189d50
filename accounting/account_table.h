// The process's table of accounts: making, finding, reparenting and releasing
// them (the interface is account.h).
#pragma once

#include <cstdint>

#include "accounting/account.h"

namespace umemcg {

// Takes a ledger's row for this process and `group`; kNone when the table is
// full.
uint32_t claim_ledger(uint32_t group);

// Turns what the account holds over to `group`, an ancestor of what it charged.
void turn_ledger(Account& account, uint32_t group);

// Frees the ledger if all that it says is settled: no pages, and no amounts
// that threads have yet to count. False if not.
bool release_ledger(Account& account);

}  // namespace umemcg
