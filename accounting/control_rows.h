// The functions behind the control files, a line of the table each
// (control_file.cc). Nobody else calls them.
#pragma once

#include <cstdint>

#include "accounting/segment.h"
#include "base/text.h"
#include "base/units.h"

namespace umemcg::control {

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
int store_oom_group(Segment& segment, uint32_t group, const char* value);
void show_oom_policy(Segment& segment, uint32_t group, TextBuffer& out);
int store_oom_policy(Segment& segment, uint32_t group, const char* value);

// control_pressure.cc
void show_pressure(Segment& segment, uint32_t group, TextBuffer& out);
void show_pressure_switch(Segment& segment, uint32_t group, TextBuffer& out);
int store_pressure_switch(Segment& segment, uint32_t group, const char* value);

// memory_stat.cc
void show_memory_stat(Segment& segment, uint32_t group, TextBuffer& out);

// control_limit.cc
int store_high(Segment& segment, uint32_t group, const char* value);
int store_max(Segment& segment, uint32_t group, const char* value);
int store_reclaim(Segment& segment, uint32_t group, const char* value);
void show_soft_limit(Segment& segment, uint32_t group, TextBuffer& out);
int store_soft_limit(Segment& segment, uint32_t group, const char* value);
// Nothing is swapped: the limits are kept, the amounts are 0.
void show_swap_high(Segment& segment, uint32_t group, TextBuffer& out);
int store_swap_high(Segment& segment, uint32_t group, const char* value);
void show_swap_max(Segment& segment, uint32_t group, TextBuffer& out);
int store_swap_max(Segment& segment, uint32_t group, const char* value);
void show_swap_nothing(Segment& segment, uint32_t group, TextBuffer& out);
int reset_swap_peak(Segment& segment, uint32_t group, const char* value);
void show_swap_events(Segment& segment, uint32_t group, TextBuffer& out);

// control_sources.cc
void show_reclaim_stat(Segment& segment, uint32_t group, TextBuffer& out);

// control_store.cc
// kstrtoint of the kernel, for numbers that may not be negative: decimal,
// 0x... or 0..., at most INT_MAX. 0 or an error number.
int parse_int(const char* text, uint32_t* value);
// What -1 or a size says, for limits by the names of cgroup v1. 0 or EINVAL.
int parse_limit_v1(const char* value, int64_t* pages);
int store_min(Segment& segment, uint32_t group, const char* value);
int store_low(Segment& segment, uint32_t group, const char* value);
int store_subtree_control(Segment& segment, uint32_t group, const char* value);
int store_max_depth(Segment& segment, uint32_t group, const char* value);
int store_max_descendants(Segment& segment, uint32_t group, const char* value);
int store_procs(Segment& segment, uint32_t group, const char* value);
// memory.kmem.limit_in_bytes and its like: "-1" is unlimited, and a limit below
// the usage is refused.
int store_limit_v1(Segment& segment, PageCounter& counter, const char* value);

// peak.cc
int reset_peak(Segment& segment, uint32_t group, const char* value);

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
int reset_watermark(Segment& segment, uint32_t group, const char*) {
  (segment.group(group)->*kCounter).reset_watermark();
  return 0;
}
template <Counter kCounter>
int reset_failcnt(Segment& segment, uint32_t group, const char*) {
  (segment.group(group)->*kCounter).reset_failcnt();
  return 0;
}
template <Counter kCounter>
int store_counter_v1(Segment& segment, uint32_t group, const char* value) {
  return store_limit_v1(segment, segment.group(group)->*kCounter, value);
}

}  // namespace umemcg::control
