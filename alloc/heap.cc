#include "alloc/heap.h"

#include <mimalloc.h>

#include <cerrno>

#include "alloc/account_heap.h"
#include "alloc/attention.h"
#include "alloc/cached.h"
#include "alloc/collect.h"
#include "alloc/commit.h"
#include "alloc/fork.h"
#include "alloc/group_heap.h"
#include "alloc/options.h"
#include "alloc/own_map.h"
#include "alloc/page_table.h"
#include "alloc/range.h"
#include "alloc/thread_heaps.h"
#include "alloc/zombie.h"
#include "stock/charge.h"
#include "stock/charge_events.h"
#include "stock/current.h"
#include "stock/fail.h"

namespace umemcg {
namespace {

// Called by mimalloc, outside its page search: every 1,000 slow allocations,
// and with force when no page could be had.
void deferred_free(bool force, unsigned long long, void*) {
  check_fork();
  const size_t refused = force ? take_refused_map() : 0;
  if (refused != 0 && !t_charge_record.armed) extend_ranges(refused);
  if (making_heap()) return;
  AllocationUnderWay under_way;
  if (t_charge_record.armed) {
    g_charge_slow_hook();
  } else {
    allocator_housekeeping();
  }
  take_collect_place();
  if (asked_to_collect()) collect_as_asked();
  glance_at_tree();
}

// An allocation has failed for good.
void on_error(int error, void*) {
  t_charge_record.armed = false;
  end_injected();
  if (error == ENOMEM || error == EOVERFLOW) errno = ENOMEM;
}

bool block_is_ours() {
  constexpr size_t kProbe = 40 * kKiB;
  void* block = mi_malloc(kProbe);
  Slice* slice = block != nullptr ? find_slice_of(block) : nullptr;
  bool ours = slice != nullptr && slice->load().owner() != 0;
  mi_free(block);
  return ours;
}

}  // namespace

void report_errors() { mi_register_error(on_error, nullptr); }

AllocatorStart start_allocator() {
  set_options();
  // Its page map comes before the first range. (Its own constructor may still
  // be to come: some other library's constructor allocates first.)
  mi_process_init();
  account_own_maps();
  if (!init_ranges()) {
    forget_own_maps();
    restore_options();
    return AllocatorStart::kNoRange;
  }
  // The main thread's heap and the first range's records are root's.
  const bool ours = as_records(block_is_ours);
  begin_home();
  g_tree_changed_hook.install(notice_tree);
  g_charge_event_hook.install(raise_attention);
  mi_register_deferred_free(deferred_free, nullptr);
  return ours ? AllocatorStart::kAccounted : AllocatorStart::kNotInRange;
}

bool as_records(bool (*probe)()) {
  bool result;
  {
    NoFailScope scope(records_account());
    result = probe();
    collect_thread();
  }
  purge_cached(*records_account(), INT64_MAX, PurgeReason::kTrim);
  return result;
}

void prime_thread() {
  NoFailScope scope(records_account());
  mi_thread_init();
}

void collect_thread() { collect_theaps(); }

size_t trim_allocator() {
  check_fork();
  sync_thread();
  collect_thread();
  drain_own_stock();
  drop_reservation();
  int64_t pages =
      purge_cached_subtree(kRootGroup, INT64_MAX, PurgeReason::kTrim);
  bury_all_zombies();
  return static_cast<size_t>(pages) * kPageSize;
}

void allocator_housekeeping() {
  if (ranges_low()) extend_ranges(0);
  decay_cached();
}

}  // namespace umemcg
