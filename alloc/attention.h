// What a thread is to do before its next allocation: turn to a group whose
// theap it has yet to make, or let go of one that is gone; collect its heaps
// for another thread (alloc/collect.h); give pages back for another process,
// and pay for what it charged over memory.high (reclaim/serve.h).
//
// That cannot be done where it is noticed. A scope may be opened by a signal
// handler that has interrupted mimalloc, and the thread's slow paths lie within
// an allocation of some theap; making a theap allocates from the main theap,
// and deleting one may not be done under an allocation from it. The start of
// the program's next malloc is a place where all of that is allowed.
//
// So that malloc is one jump for programs that have nothing to do with it, the
// exported functions look at `attention` only after the first time that it was
// raised in the process; from then on it is a few loads more each.
#pragma once

#include "alloc/collect.h"
#include "base/hook.h"
#include "stock/current.h"

namespace umemcg {

// The exported functions are to look from now on: shim/ installs it.
// Async-signal-safe.
extern constinit Hook<void()> g_attention_hook;

// Async-signal-safe.
void raise_attention();

UMEMCG_COLD void serve_attention();

// The end of serve_attention(): reclaim/ installs what it has to do.
extern constinit Hook<void()> g_attention_work_hook;

// The tree has changed since the thread last looked: if its process was moved,
// or its group removed, attention is raised. Takes no lock.
void notice_tree();

// At the beginning of an allocation.
UMEMCG_FAST void check_attention() {
  if (UMEMCG_UNLIKELY(t_context.attention || asked_to_collect())) {
    serve_attention();
  }
}

// At its end: pages over memory.high are paid for at once if they are many
// (more than a batch of the kernel's), else before the next allocation.
inline constexpr uint32_t kMostOwedPages = 64;
UMEMCG_FAST void settle_attention() {
  if (UMEMCG_UNLIKELY(t_context.attention) &&
      t_context.over_high > kMostOwedPages) {
    serve_attention();
  }
}

}  // namespace umemcg
