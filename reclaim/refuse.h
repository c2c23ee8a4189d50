// What is left of a charge that reclaim could not satisfy: a record of it
// (accounting/refusal.h), and the one line on stderr.
#pragma once

#include <cstdint>

#include "accounting/refusal.h"
#include "reclaim/charge.h"

namespace umemcg {

// UMEMCG_VERBOSE.
void set_report_refusals(bool on);

// Writes the refusal down with the group whose limit it was.
void note_outcome(const ChargeRequest& request, uint32_t group,
                  Outcome outcome);

// The process in that slot is about to be killed for it: a line on stderr.
void report_kill(const ChargeRequest& request, uint32_t group,
                 uint32_t process);

// The first one in the process is a line on stderr.
void report_refusal(const ChargeRequest& request, uint32_t group);

}  // namespace umemcg
