// The tables of control files, and the functions behind them, a line of a table
// each. Nobody else calls them.
#pragma once

#include <cstdint>

#include "accounting/control_file.h"
#include "accounting/segment.h"
#include "base/text.h"
#include "base/units.h"

namespace umemcg::control {

extern const ControlFile kFilesV1[];  // control_v1.cc
extern const ControlFile kFilesV2[];  // control_v2.cc

// Whether the row is still the group's that the writer means (whose id is set):
// for what has waited, for a lock or for memory.
bool is_meant(Segment& segment, uint32_t group, const Writer& writer);
// Why the writer is not to reclaim or kill any more: EINTR, ENODEV (the group
// is gone); or 0.
int why_to_stop(Segment& segment, uint32_t group, const Writer& writer);

// A counter of Group.
using Counter = PageCounter Group::*;

// control_show.cc
void show_pages(int64_t pages, const char* unlimited, TextBuffer& out);
void show_high(Segment& segment, uint32_t group, TextBuffer& out);
void show_events(Segment& segment, uint32_t group, TextBuffer& out);
void show_events_local(Segment& segment, uint32_t group, TextBuffer& out);
void show_procs(Segment& segment, uint32_t group, TextBuffer& out);
void show_threads(Segment& segment, uint32_t group, TextBuffer& out);
void show_controllers(Segment& segment, uint32_t group, TextBuffer& out);
void show_subtree_control(Segment& segment, uint32_t group, TextBuffer& out);
void show_type(Segment& segment, uint32_t group, TextBuffer& out);
void show_cgroup_events(Segment& segment, uint32_t group, TextBuffer& out);
void show_cgroup_stat(Segment& segment, uint32_t group, TextBuffer& out);
void show_max_depth(Segment& segment, uint32_t group, TextBuffer& out);
void show_max_descendants(Segment& segment, uint32_t group, TextBuffer& out);

// control_oom.cc
void show_oom_group(Segment& segment, uint32_t group, TextBuffer& out);
int store_oom_group(Segment& segment, uint32_t group, const char* value,
                    const Writer&);
void show_oom_policy(Segment& segment, uint32_t group, TextBuffer& out);
int store_oom_policy(Segment& segment, uint32_t group, const char* value,
                     const Writer&);

// control_pressure.cc
void show_pressure(Segment& segment, uint32_t group, TextBuffer& out);
int store_pressure(Segment& segment, uint32_t group, const char* value,
                   const Writer&);
void show_pressure_switch(Segment& segment, uint32_t group, TextBuffer& out);
int store_pressure_switch(Segment& segment, uint32_t group, const char* value,
                          const Writer&);

// memory_stat.cc, memory_stat_v1.cc
void show_memory_stat(Segment& segment, uint32_t group, TextBuffer& out);
void show_numa_stat(Segment& segment, uint32_t group, TextBuffer& out);
void show_memory_stat_v1(Segment& segment, uint32_t group, TextBuffer& out);
void show_numa_stat_v1(Segment& segment, uint32_t group, TextBuffer& out);

// control_limit_v1.cc
int store_limit_v1(Segment& segment, uint32_t group, const char* value,
                   const Writer&);
// (memory.max by its name of v2 may have been raised over what was written.)
int64_t memsw_max(const Group& row);
void show_memsw_limit(Segment& segment, uint32_t group, TextBuffer& out);
int store_memsw_limit(Segment& segment, uint32_t group, const char* value,
                      const Writer&);
void show_memsw_failcnt(Segment& segment, uint32_t group, TextBuffer& out);
int reset_memsw_failcnt(Segment& segment, uint32_t group, const char* value,
                        const Writer&);
void show_soft_limit(Segment& segment, uint32_t group, TextBuffer& out);
int store_soft_limit(Segment& segment, uint32_t group, const char* value,
                     const Writer&);
int force_empty(Segment& segment, uint32_t group, const char* value,
                const Writer&);
// "-1" is unlimited, and a limit below the usage is refused.
int store_kind_limit(Segment& segment, PageCounter& counter, const char* value);

// control_settings_v1.cc
void show_oom_control(Segment& segment, uint32_t group, TextBuffer& out);
int store_oom_control(Segment& segment, uint32_t group, const char* value,
                      const Writer&);
void show_swappiness(Segment& segment, uint32_t group, TextBuffer& out);
int store_swappiness(Segment& segment, uint32_t group, const char* value,
                     const Writer&);
void show_move_charge(Segment& segment, uint32_t group, TextBuffer& out);
int store_move_charge(Segment& segment, uint32_t group, const char* value,
                      const Writer&);
void show_use_hierarchy(Segment& segment, uint32_t group, TextBuffer& out);
int store_use_hierarchy(Segment& segment, uint32_t group, const char* value,
                        const Writer&);
void show_notify_on_release(Segment& segment, uint32_t group, TextBuffer& out);
int store_notify_on_release(Segment& segment, uint32_t group, const char* value,
                            const Writer&);
void show_release_agent(Segment& segment, uint32_t group, TextBuffer& out);
int store_release_agent(Segment& segment, uint32_t group, const char* value,
                        const Writer&);
int needs_open_file(Segment& segment, uint32_t group, const char* value,
                    const Writer&);

// control_limit.cc
int store_high(Segment& segment, uint32_t group, const char* value,
               const Writer&);
int store_max(Segment& segment, uint32_t group, const char* value,
              const Writer&);
int store_reclaim(Segment& segment, uint32_t group, const char* value,
                  const Writer&);
// Nothing is swapped: the limits are kept, the amounts are 0.
void show_swap_high(Segment& segment, uint32_t group, TextBuffer& out);
int store_swap_high(Segment& segment, uint32_t group, const char* value,
                    const Writer&);
void show_swap_max(Segment& segment, uint32_t group, TextBuffer& out);
int store_swap_max(Segment& segment, uint32_t group, const char* value,
                   const Writer&);
void show_swap_nothing(Segment& segment, uint32_t group, TextBuffer& out);
int reset_swap_peak(Segment& segment, uint32_t group, const char* value,
                    const Writer&);
void show_swap_events(Segment& segment, uint32_t group, TextBuffer& out);

// control_sources.cc
void show_reclaim_stat(Segment& segment, uint32_t group, TextBuffer& out);

// control_store.cc
int store_min(Segment& segment, uint32_t group, const char* value,
              const Writer&);
int store_low(Segment& segment, uint32_t group, const char* value,
              const Writer&);
int store_subtree_control(Segment& segment, uint32_t group, const char* value,
                          const Writer&);
int store_max_depth(Segment& segment, uint32_t group, const char* value,
                    const Writer&);
int store_max_descendants(Segment& segment, uint32_t group, const char* value,
                          const Writer&);
int store_procs(Segment& segment, uint32_t group, const char* value,
                const Writer&);
int store_threads(Segment& segment, uint32_t group, const char* value,
                  const Writer& writer);
int store_tasks(Segment& segment, uint32_t group, const char* value,
                const Writer& writer);
int store_type(Segment&, uint32_t, const char* value, const Writer&);

// control_freezer.cc
void show_freeze(Segment& segment, uint32_t group, TextBuffer& out);
int store_freeze(Segment& segment, uint32_t group, const char* value,
                 const Writer&);
int store_kill(Segment& segment, uint32_t group, const char* value,
               const Writer&);

// peak.cc
int reset_peak(Segment& segment, uint32_t group, const char* value,
               const Writer&);

// What every counter has: a file that shows one of its values...
template <Counter kCounter, int64_t (PageCounter::*kValue)() const>
void show_counter(Segment& segment, uint32_t group, TextBuffer& out) {
  const PageCounter& counter = segment.group(group)->*kCounter;
  show_pages((counter.*kValue)(), "max", out);
}
// ... the same by the names of cgroup v1, where unlimited is a number...
template <Counter kCounter, int64_t (PageCounter::*kValue)() const>
void show_counter_v1(Segment& segment, uint32_t group, TextBuffer& out) {
  const PageCounter& counter = segment.group(group)->*kCounter;
  show_pages((counter.*kValue)(), nullptr, out);
}
template <Counter kCounter>
void show_failcnt(Segment& segment, uint32_t group, TextBuffer& out) {
  out.number((segment.group(group)->*kCounter).failcnt()).character('\n');
}
// ... and files where any write starts the counting anew.
template <Counter kCounter>
int reset_watermark(Segment& segment, uint32_t group, const char*,
                    const Writer&) {
  (segment.group(group)->*kCounter).reset_watermark();
  return 0;
}
template <Counter kCounter>
int reset_failcnt(Segment& segment, uint32_t group, const char*,
                  const Writer&) {
  (segment.group(group)->*kCounter).reset_failcnt();
  return 0;
}
template <Counter kCounter>
int store_kind_limit(Segment& segment, uint32_t group, const char* value,
                     const Writer&) {
  return store_kind_limit(segment, segment.group(group)->*kCounter, value);
}

}  // namespace umemcg::control
