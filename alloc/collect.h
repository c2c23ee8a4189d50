// Asking the process's other threads to give back what is free in their heaps:
// a theap is its thread's alone to collect.
//
//   asker:  raises the process's request; waits a little for threads that
//           usually answer
//   thread: at its next slow path (deferred free) or allocation
//           (alloc/attention.h) collects its theaps of the subtree
//
// A request is one word for all threads: {number, group}. So that it is known
// who can be waited for, a thread takes a place in a table at its first slow
// path, and says there which accounts it has theaps of. Nothing is locked; a
// thread without a place (there are 1,024) is asked all the same, but not
// waited for. One that is blocked outside malloc, or computes, answers when it
// comes back; it is not waited for again until then.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/attributes.h"

namespace umemcg {

// The process's request, and the number of the one that the thread has answered
// last: internal.
extern constinit std::atomic<uint64_t> g_collect_request;
extern constinit UMEMCG_TLS uint32_t t_collected;

// Asks all other threads of the process that have theaps for groups in the
// subtree of `group`, and waits at most `wait_ns` for those that usually
// answer: what they collect is cached then. Nothing if the process has no other
// thread. REQUIRES: no lock of ours is held.
void ask_threads_to_collect(uint32_t group, uint64_t wait_ns);

// Whether the calling thread is asked. Two loads.
UMEMCG_FAST bool asked_to_collect() {
  // relaxed: the word carries its own meaning.
  const uint64_t word = g_collect_request.load(std::memory_order_relaxed);
  return UMEMCG_UNLIKELY(static_cast<uint32_t>(word >> 32) != t_collected);
}

// Does it. REQUIRES: no allocation is in the middle of the thread's heaps (the
// deferred free and attention are such places).
void collect_as_asked();

// The thread can be asked from now on. At slow paths; one load if it can.
void take_collect_place();
// It has made or dropped a theap: the table says so.
void name_theaps();
// It ends: its heaps are gone.
void leave_collect_place();

// In the child of a fork: the other threads are not here.
void reset_collect();

}  // namespace umemcg
