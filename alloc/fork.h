// Knowing that this process is the child of a fork, whichever call made it: a
// word in a page that the kernel wipes on fork. Every slow path looks at it
// first; a vfork child shares the page and is its parent, as far as memory
// goes.
#pragma once

#include <atomic>

#include "base/attributes.h"
#include "base/hook.h"

namespace umemcg {

extern constinit std::atomic<bool>* g_same_process;

// Called once in a forked child, by the first of its threads that gets here;
// shim installs what is to be done.
extern constinit Hook<void()> g_fork_child_hook;

// Maps the page; without one (an old kernel) atfork handlers must do.
void map_fork_page();
// In the child: the page says "same process" again.
void mark_this_process();

UMEMCG_FAST void check_fork() {
  if (UMEMCG_UNLIKELY(!g_same_process->load(std::memory_order_relaxed))) {
    g_fork_child_hook();
  }
}

}  // namespace umemcg
