// The control files by the names of cgroup v1, in the kernel's order.

#include "accounting/control_rows.h"

namespace umemcg::control {
namespace {

constexpr Counter kMemory = &Group::memory;
constexpr Counter kKmem = &Group::kmem;
constexpr Counter kSock = &Group::sock;
constexpr auto kUsage = &PageCounter::usage;
constexpr auto kMax = &PageCounter::max;
constexpr auto kWatermark = &PageCounter::watermark;
constexpr const char* kBytesOrMinusOne =
    "bytes with an optional suffix K M G T P E, or -1 for no limit";
constexpr const char* kZeroOrOne = "0 or 1";
constexpr const char* kProcess = "the number of a process";
constexpr const char* kAnything = "anything";

}  // namespace

constexpr ControlFile kFilesV1[] = {
    {"memory.usage_in_bytes", Format::kValue, false,
     show_counter_v1<kMemory, kUsage>, nullptr, nullptr,
     "bytes charged to the group and those below"},
    {"memory.max_usage_in_bytes", Format::kValue, false,
     show_counter_v1<kMemory, kWatermark>, reset_peak, kAnything,
     "the most that was charged"},
    {"memory.limit_in_bytes", Format::kValue, true,
     show_counter_v1<kMemory, kMax>, store_limit_v1, kBytesOrMinusOne,
     "the limit; above it, allocations fail"},
    {"memory.failcnt", Format::kValue, false, show_failcnt<kMemory>,
     reset_failcnt<kMemory>, kAnything, "how often the limit refused"},
    // Nothing is swapped: one counter is both.
    {"memory.memsw.usage_in_bytes", Format::kValue, false,
     show_counter_v1<kMemory, kUsage>, nullptr, nullptr,
     "memory and swap: as memory.usage_in_bytes"},
    {"memory.memsw.max_usage_in_bytes", Format::kValue, false,
     show_counter_v1<kMemory, kWatermark>, reset_peak, kAnything,
     "as memory.max_usage_in_bytes"},
    {"memory.memsw.limit_in_bytes", Format::kValue, true, show_memsw_limit,
     store_memsw_limit, kBytesOrMinusOne,
     "kept, at or above memory.limit_in_bytes"},
    {"memory.memsw.failcnt", Format::kValue, false, show_memsw_failcnt,
     reset_memsw_failcnt, kAnything, "0: the other limit refuses first"},
    {"memory.soft_limit_in_bytes", Format::kValue, false, show_soft_limit,
     store_soft_limit, kBytesOrMinusOne,
     "under pressure above, groups over theirs are reclaimed first"},
    {"memory.kmem.usage_in_bytes", Format::kValue, false,
     show_counter_v1<kKmem, kUsage>, nullptr, nullptr,
     "of it, what umemcg_charge charged as kmem"},
    {"memory.kmem.max_usage_in_bytes", Format::kValue, false,
     show_counter_v1<kKmem, kWatermark>, reset_watermark<kKmem>, kAnything,
     "the most of that"},
    {"memory.kmem.limit_in_bytes", Format::kValue, true,
     show_counter_v1<kKmem, kMax>, store_kind_limit<kKmem>, kBytesOrMinusOne,
     "the limit of that"},
    {"memory.kmem.failcnt", Format::kValue, false, show_failcnt<kKmem>,
     reset_failcnt<kKmem>, kAnything, "how often that limit refused"},
    {"memory.kmem.tcp.usage_in_bytes", Format::kValue, false,
     show_counter_v1<kSock, kUsage>, nullptr, nullptr,
     "of it, what umemcg_charge charged as sock"},
    {"memory.kmem.tcp.max_usage_in_bytes", Format::kValue, false,
     show_counter_v1<kSock, kWatermark>, reset_watermark<kSock>, kAnything,
     "the most of that"},
    {"memory.kmem.tcp.limit_in_bytes", Format::kValue, true,
     show_counter_v1<kSock, kMax>, store_kind_limit<kSock>, kBytesOrMinusOne,
     "the limit of that"},
    {"memory.kmem.tcp.failcnt", Format::kValue, false, show_failcnt<kSock>,
     reset_failcnt<kSock>, kAnything, "how often that limit refused"},
    {"memory.force_empty", Format::kValue, true, nullptr, force_empty,
     kAnything, "reclaims all that can be"},
    {"memory.stat", Format::kKeyed, false, show_memory_stat_v1, nullptr,
     nullptr, "what is charged, by kind, and with groups below"},
    {"memory.numa_stat", Format::kNested, false, show_numa_stat_v1, nullptr,
     nullptr, "the same by node, in pages"},
    {"memory.swappiness", Format::kValue, false, show_swappiness,
     store_swappiness, "0 to 200", "kept; nothing is swapped"},
    {"memory.oom_control", Format::kKeyed, true, show_oom_control,
     store_oom_control, kZeroOrOne, "1: wait for memory (memory.oom.policy)"},
    {"memory.pressure_level", Format::kValue, false, nullptr, nullptr, nullptr,
     "named in cgroup.event_control"},
    {"memory.move_charge_at_immigrate", Format::kValue, false, show_move_charge,
     store_move_charge, "0", "0: charges stay where they are"},
    {"memory.use_hierarchy", Format::kValue, false, show_use_hierarchy,
     store_use_hierarchy, "1", "1: groups below count"},
    {"cgroup.event_control", Format::kValue, false, nullptr, needs_open_file,
     "an eventfd, an open control file, and arguments", "has an eventfd told"},
    {"tasks", Format::kLines, false, show_threads, store_tasks, kProcess,
     "the threads in the group"},
    {"cgroup.procs", Format::kLines, false, show_procs, store_procs, kProcess,
     "the processes in the group"},
    {"notify_on_release", Format::kValue, false, show_notify_on_release,
     store_notify_on_release, kZeroOrOne, "kept; no program is run"},
    {"release_agent", Format::kValue, false, show_release_agent,
     store_release_agent, "the path of a program", "kept; no program is run"},
    {nullptr, Format::kValue, false, nullptr, nullptr, nullptr, nullptr},
};

}  // namespace umemcg::control
