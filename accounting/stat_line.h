// Counting into a thread's own line, and reading all of it back.
#pragma once

#include <cstdint>

#include "accounting/account.h"
#include "accounting/stat.h"
#include "base/attributes.h"

namespace umemcg {

extern constinit UMEMCG_TLS StockLine* t_line;

// The calling thread's line, or null: then counts go to the ledger itself.
UMEMCG_FAST StockLine* thread_line() { return t_line; }
void set_thread_line(StockLine* line);

// Adds to the account's statistics through the thread's line.
void count_stat(Account& account, Stat stat, int64_t amount);

// Passes what the line holds on to its ledger.
// REQUIRES: the caller is the line's thread, or its thread is gone.
void flush_stat_line(Segment& segment, StockLine& line);

// The group's own statistic (descendants not included), at least 0.
// Sums of all of them in one pass: out[kStats].
void read_stats(Segment& segment, uint32_t group, bool subtree,
                int64_t out[kStats]);

// Pages that are charged ahead in the subtree: the stocks of threads, and what
// reclaim has won for a request that has not come back for it.
int64_t stock_pages(Segment& segment, uint32_t group);

}  // namespace umemcg
