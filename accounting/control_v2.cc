// The control files by the names of cgroup v2, and umemcg's own.

#include "accounting/control_rows.h"

namespace umemcg::control {
namespace {

constexpr Counter kMemory = &Group::memory;
constexpr auto kUsage = &PageCounter::usage;
constexpr auto kMax = &PageCounter::max;
constexpr auto kMin = &PageCounter::min;
constexpr auto kLow = &PageCounter::low;
constexpr auto kWatermark = &PageCounter::watermark;
constexpr const char* kBytesOrMax =
    "bytes with an optional suffix K M G T P E, such as 512M, or max";
constexpr const char* kZeroOrOne = "0 or 1";
constexpr const char* kNumberOrMax = "a number, or max";
constexpr const char* kProcess = "the number of a process";
constexpr const char* kAnything = "anything";

}  // namespace

constexpr ControlFile kFilesV2[] = {
    {"memory.current", Format::kValue, false, show_counter<kMemory, kUsage>,
     nullptr, nullptr, "bytes charged to the group and those below"},
    {"memory.peak", Format::kValue, false, show_counter<kMemory, kWatermark>,
     reset_peak, kAnything, "the most that memory.current has been"},
    {"memory.min", Format::kValue, true, show_counter<kMemory, kMin>, store_min,
     kBytesOrMax, "so much is never reclaimed"},
    {"memory.low", Format::kValue, true, show_counter<kMemory, kLow>, store_low,
     kBytesOrMax, "so much is reclaimed only when nothing else is left"},
    {"memory.high", Format::kValue, true, show_high, store_high, kBytesOrMax,
     "above it, those who allocate are slowed down"},
    {"memory.max", Format::kValue, true, show_counter<kMemory, kMax>, store_max,
     kBytesOrMax, "the limit; above it, allocations fail"},
    {"memory.reclaim", Format::kValue, false, nullptr, store_reclaim,
     "bytes with an optional suffix K M G T P E, and perhaps swappiness=0 to "
     "200 or max",
     "reclaims so much now"},
    {"memory.reclaim.stat", Format::kNested, false, show_reclaim_stat, nullptr,
     nullptr, "what reclaim for its limits looked at and got, by source"},
    {"memory.swap.current", Format::kValue, false, show_swap_nothing, nullptr,
     nullptr, "0: nothing is swapped"},
    {"memory.swap.high", Format::kValue, true, show_swap_high, store_swap_high,
     kBytesOrMax, "kept; nothing is swapped"},
    {"memory.swap.max", Format::kValue, true, show_swap_max, store_swap_max,
     kBytesOrMax, "kept; nothing is swapped"},
    {"memory.swap.peak", Format::kValue, false, show_swap_nothing,
     reset_swap_peak, kAnything, "0: nothing is swapped"},
    {"memory.swap.events", Format::kKeyed, false, show_swap_events, nullptr,
     nullptr, "0 each: nothing is swapped"},
    {"memory.oom.group", Format::kValue, true, show_oom_group, store_oom_group,
     kZeroOrOne, "1: all of its processes are killed together"},
    // The root's, too: it has no limit, but what is made below inherits it.
    {"memory.oom.policy", Format::kValue, false, show_oom_policy,
     store_oom_policy, "fail, kill, callback, wait or 'wait MILLISECONDS'",
     "what happens when nothing can be reclaimed"},
    {"memory.events", Format::kKeyed, false, show_events, nullptr, nullptr,
     "what happened in the group and those below"},
    {"memory.events.local", Format::kKeyed, false, show_events_local, nullptr,
     nullptr, "what happened in the group itself"},
    {"memory.stat", Format::kKeyed, false, show_memory_stat, nullptr, nullptr,
     "what is charged, by kind, and counts"},
    {"memory.numa_stat", Format::kNested, false, show_numa_stat, nullptr,
     nullptr, "memory.stat by node"},
    {"memory.pressure", Format::kNested, false, show_pressure, store_pressure,
     "some or full, microseconds stalled, and those of a window",
     "time that was lost for want of memory"},
    {"cgroup.procs", Format::kLines, false, show_procs, store_procs, kProcess,
     "the processes in the group"},
    {"cgroup.threads", Format::kLines, false, show_threads, store_threads,
     "the number of a thread that is in the group", "the threads in the group"},
    {"cgroup.controllers", Format::kWords, false, show_controllers, nullptr,
     nullptr, "what the group above hands on to it"},
    {"cgroup.subtree_control", Format::kWords, false, show_subtree_control,
     store_subtree_control, "+memory or -memory",
     "what it hands on to groups below"},
    {"cgroup.events", Format::kKeyed, false, show_cgroup_events, nullptr,
     nullptr, "whether processes are inside, and whether they are frozen"},
    {"cgroup.type", Format::kValue, true, show_type, store_type, "nothing else",
     "domain"},
    {"cgroup.stat", Format::kKeyed, false, show_cgroup_stat, nullptr, nullptr,
     "how many groups are below"},
    {"cgroup.pressure", Format::kValue, false, show_pressure_switch,
     store_pressure_switch, kZeroOrOne, "whether memory.pressure is there"},
    {"cgroup.max.depth", Format::kValue, false, show_max_depth, store_max_depth,
     kNumberOrMax, "how deep groups below may nest"},
    {"cgroup.max.descendants", Format::kValue, false, show_max_descendants,
     store_max_descendants, kNumberOrMax, "how many groups there may be below"},
    {"cgroup.freeze", Format::kValue, true, show_freeze, store_freeze,
     kZeroOrOne, "1: the processes in it and below stand still"},
    {"cgroup.kill", Format::kValue, true, nullptr, store_kill, "1",
     "kills the processes in it and below"},
    {nullptr, Format::kValue, false, nullptr, nullptr, nullptr, nullptr},
};

}  // namespace umemcg::control
