// Calling a function of the program from the middle of a charge: a shrinker,
// or whoever decides when memory is out.
//
// Where that happens (mimalloc's deferred free, or straight code) the program
// may allocate. What it allocates is charged to the group that the call is
// about; there is no reclaim for it, only the emergency reserve. The thread's
// own group, its scope, the group of the call under way and what that has
// mapped (own_map_state.h) stand aside, and come back afterwards, whatever the
// function did to them.
//
// Bounds. A thread has theaps of 16 groups, and of 4 more while an allocation
// is under way: with none left for the group, what the function allocates is
// charged where the thread is.
#pragma once

#include "accounting/account.h"
#include "alloc/own_map_state.h"
#include "stock/current.h"

namespace umemcg {

// What stood aside.
struct CallbackContext {
  ThreadContext context;
  Account* call;  // of a call that names its group (thread_heaps.h)
  OwnMapState own_map;
  bool held;  // a reference to context.tag
};

// The thread works for `account`'s group (if that is gone: for its nearest
// online ancestor). REQUIRES: no lock of ours is held, no charge is in the
// middle of its section.
void begin_callback(Account& account, CallbackContext* saved);
// Also in the child of a fork in between.
void end_callback(const CallbackContext& saved);
// The function has ended the thread: nor does that come back to what it was in
// the middle of.
void abandon_callback(const CallbackContext& saved);

}  // namespace umemcg
