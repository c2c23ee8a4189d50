// What a charge may set off, looked at once per batch: memory.high of the group
// and those above, thresholds that somebody listens to, and whether another
// process asks for pages (accounting/reclaim_request.h). The last step of
// try_charge_memcg, and memcg_check_events.
#pragma once

#include <cstdint>

#include "accounting/account.h"
#include "base/hook.h"

namespace umemcg {

// `pages` (the batch) were charged. Writes nothing but the thread's own words
// unless a level is over its high or has thresholds. In the commit hook: does
// not sleep or call back.
void charge_events(Account& account, uint32_t pages);

// The thread owes something, or is asked for something, to be seen to when it
// has left the allocator: alloc/ installs raise_attention().
extern constinit Hook<void()> g_charge_event_hook;

}  // namespace umemcg
