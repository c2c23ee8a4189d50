// The heaps of a test without mimalloc: there is nothing to collect.

#include "alloc/callback.h"
#include "alloc/collect.h"
#include "alloc/heap.h"
#include "alloc/zombie.h"

namespace umemcg {

void collect_thread() {}

void ask_threads_to_collect(uint32_t, uint64_t) {}

bool give_back_records() { return false; }

// Nothing is called back.
void begin_callback(Account&, CallbackContext*) {}
void end_callback(const CallbackContext&) {}
void abandon_callback(const CallbackContext&) {}

}  // namespace umemcg
