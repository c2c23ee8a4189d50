#include "shim/lifecycle.h"

#include <pthread.h>

#include "accounting/lease.h"
#include "accounting/listeners.h"
#include "accounting/process.h"
#include "accounting/stat_line.h"
#include "alloc/cached.h"
#include "alloc/fork.h"
#include "alloc/fork_gate.h"
#include "alloc/group_heap.h"
#include "alloc/heap.h"
#include "alloc/page_table.h"
#include "alloc/range.h"
#include "base/sys.h"
#include "base/text.h"
#include "reclaim/oom.h"
#include "reclaim/serve.h"
#include "reclaim/shrinker.h"
#include "shim/init.h"
#include "shim/real.h"
#include "shim/report.h"
#include "shim/worker.h"
#include "stock/charge.h"
#include "stock/current.h"

namespace umemcg {
namespace {

constinit pthread_key_t thread_key = 0;
constinit bool have_key = false;
constinit UMEMCG_TLS bool t_leaving = false;

// mimalloc's own destructor has run before this one (its key is older). What
// the program's later destructors still allocate is charged exactly.
void end_thread(void*) {
  check_fork();
  t_context.exiting = true;
  end_thread_group();
  release_line();
  if (t_leaving) {
    t_leaving = false;
    leave_fork_gate();
  }
}

void line_acquired() {
  name_thread_group();
  if (have_key) pthread_setspecific(thread_key, &t_context);
}

// A domain's child is a process of its own: what it inherited stays charged to
// its parent. If it cannot have a slot it goes on as its parent: its pages are
// counted, but stand in the parent's ledger.
void report_shared_child() {
  Line line;
  print_line(
      line.text("a forked child found no place in the domain's tables: what it "
                "allocates stands with its parent"));
}

bool join_as_child() {
  // Where the process is now: it may have been moved and not know it yet.
  uint32_t group = kNone;
  int error = ENOENT;
  for (int tries = 0; tries < 3 && error == ENOENT; ++tries) {
    const ProcessSlot* parent = g_segment.process(this_process());
    Origin origin;
    group = kRootGroup;
    if (parent != nullptr) {
      group = parent->group.load(std::memory_order_relaxed);
      origin = origin_of(*parent);
    }
    error = attach_process(group, "forked", origin);
  }
  if (error != 0) return false;
  publish_page_table();
  accounts_inherit();
  Account* fresh = account_of(group);
  Account* records = account_of(kRootGroup);
  if (fresh == nullptr || records == nullptr) {
    accounts_keep();
    return false;
  }
  set_accounts(fresh, records);
  return true;
}

// Locks and flags of threads that do not exist here, then the accounts.
void forked_child() {
  mark_this_process();
  g_segment.reset_lock();
  reset_leases(g_segment);
  accounts_reset_lock();
  reset_range_lock();
  reset_purges();
  reset_serving();
  if (t_leaving) leave_fork_gate();
  t_leaving = false;
  reset_fork_gate();
  t_charge_record.armed = false;
  if (state() != State::kReady) return;
  forget_other_heaps();
  if (g_segment.is_private()) {
    take_over_slot();
    release_other_lines();
    adopt_heaps();
  } else {
    leave_parents_line();
    if (!join_as_child()) report_shared_child();
    adopt_heaps();
  }
  reset_shrinkers();
  reset_oom();
  reset_listeners();
  reset_worker();
}

// Purges of other threads end before the fork, so that the child finds no
// slice in the middle of one. Bounded: the child also copes without.
void before_fork() {
  g_fork_gate.close();
  for (int i = 0; i < 100 && purge_in_progress(); ++i) sys::sleep_ns(100'000);
}

void after_fork_in_parent() { g_fork_gate.open(); }

void after_fork_in_child() {
  reset_fork_gate();
  // In a domain the child joins at its first slow path: most children exec.
  if (g_segment.is_private() || config().worker) check_fork();
  if (config().worker) start_worker();
}

// A program with a malloc of its own, or another library in front of this one:
// its blocks do not lie in our ranges. (The address of malloc says nothing: it
// may be a jump in the program.)
bool malloc_is_ours() {
  auto bound_malloc =
      reinterpret_cast<void* (*)(size_t)>(bound_function("malloc"));
  auto bound_free = reinterpret_cast<void (*)(void*)>(bound_function("free"));
  if (bound_malloc == nullptr || bound_free == nullptr) return true;
  void* block = bound_malloc(64);
  const Slice* slice = find_slice_of(block);
  const bool ours = slice != nullptr && slice->load().owner() != 0;
  const bool refused = block == nullptr;
  bound_free(block);
  return ours || refused;
}

void check_malloc() {
  if (as_records(malloc_is_ours)) return;
  const link_map* object = object_of(bound_function("malloc"));
  const bool program = object == nullptr || object->l_name[0] == '\0';
  not_accounted("malloc is not umemcg's but comes from",
                program ? "the program itself" : object->l_name);
}

// The C library and the dynamic linker are ready only now.
__attribute__((constructor)) void on_load() {
  ensure_started();
  watch_for_exit();
  if (state() != State::kReady) return;
  check_malloc();
  have_key = pthread_key_create(&thread_key, end_thread) == 0;
  if (thread_line() != nullptr) line_acquired();
  pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
  if (config().worker) start_worker();
}

__attribute__((destructor)) void on_exit() {
  if (state() != State::kReady) return;
  process_exits();
  stop_worker();
  report_at_exit(config().report);
}

}  // namespace

void install_lifecycle() {
  g_line_acquired_hook.install(line_acquired);
  g_fork_child_hook.install(forked_child);
}

void begin_thread(Account* tag) {
  if (state() != State::kReady) return;
  {
    ForkGateScope gate;
    prime_thread();
  }
  begin_thread_group(tag);
  if (tag != nullptr) account_put(*tag);
}

void leave_thread() {
  if (!have_key || pthread_setspecific(thread_key, &t_context) != 0) return;
  enter_fork_gate();
  t_leaving = true;
}

}  // namespace umemcg
