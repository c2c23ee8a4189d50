#include "accounting/control_file.h"

#include <cerrno>
#include <cstring>

#include "accounting/control_rows.h"
#include "accounting/mem_cgroup.h"
#include "accounting/psi.h"

namespace umemcg {
namespace {

using namespace control;

constexpr Counter kMemory = &Group::memory;
constexpr Counter kKmem = &Group::kmem;
constexpr Counter kSock = &Group::sock;

constexpr auto kUsage = &PageCounter::usage;
constexpr auto kMax = &PageCounter::max;
constexpr auto kMin = &PageCounter::min;
constexpr auto kLow = &PageCounter::low;
constexpr auto kWatermark = &PageCounter::watermark;

// Longer than any value that makes sense.
constexpr size_t kValueSize = 256;

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\v' ||
         c == '\f';
}

// Copies the value into `out`, blanks around it and one NUL after it left off.
bool strip(const char* value, size_t length, char (&out)[kValueSize]) {
  if (length > 0 && value[length - 1] == '\0') --length;
  while (length > 0 && is_blank(value[length - 1])) --length;
  while (length > 0 && is_blank(*value)) ++value, --length;
  if (length >= kValueSize || std::memchr(value, '\0', length) != nullptr) {
    return false;
  }
  std::memcpy(out, value, length);
  out[length] = '\0';
  return true;
}

bool is_memory_file(const char* name) {
  return std::strncmp(name, "memory.", std::strlen("memory.")) == 0;
}

}  // namespace

constexpr ControlFile kControlFiles[] = {
    {"memory.current", Format::kValue, false, show_counter<kMemory, kUsage>,
     nullptr},
    // A write begins anew for every reader: who wants a peak of its own opens
    // one (peak.h).
    {"memory.peak", Format::kValue, false, show_counter<kMemory, kWatermark>,
     reset_peak},
    {"memory.min", Format::kValue, true, show_counter<kMemory, kMin>,
     store_min},
    {"memory.low", Format::kValue, true, show_counter<kMemory, kLow>,
     store_low},
    {"memory.high", Format::kValue, true, show_high, store_high},
    {"memory.max", Format::kValue, true, show_counter<kMemory, kMax>,
     store_max},
    {"memory.reclaim", Format::kValue, false, nullptr, store_reclaim},
    {"memory.reclaim.stat", Format::kNested, false, show_reclaim_stat, nullptr},
    {"memory.soft_limit_in_bytes", Format::kValue, true, show_soft_limit,
     store_soft_limit},
    {"memory.swap.current", Format::kValue, false, show_swap_nothing, nullptr},
    {"memory.swap.high", Format::kValue, true, show_swap_high, store_swap_high},
    {"memory.swap.max", Format::kValue, true, show_swap_max, store_swap_max},
    {"memory.swap.peak", Format::kValue, false, show_swap_nothing,
     reset_swap_peak},
    {"memory.swap.events", Format::kKeyed, false, show_swap_events, nullptr},
    {"memory.oom.group", Format::kValue, true, show_oom_group, store_oom_group},
    // The root's, too: it has no limit, but what is made below inherits it.
    {"memory.oom.policy", Format::kValue, false, show_oom_policy,
     store_oom_policy},
    {"memory.events", Format::kKeyed, false, show_events, nullptr},
    {"memory.events.local", Format::kKeyed, false, show_events_local, nullptr},
    {"memory.stat", Format::kKeyed, false, show_memory_stat, nullptr},
    {"memory.pressure", Format::kNested, false, show_pressure, nullptr},
    {"memory.kmem.limit_in_bytes", Format::kValue, true,
     show_counter_v1<kKmem, kMax>, store_counter_v1<kKmem>},
    {"memory.kmem.usage_in_bytes", Format::kValue, false,
     show_counter_v1<kKmem, kUsage>, nullptr},
    {"memory.kmem.max_usage_in_bytes", Format::kValue, false,
     show_counter_v1<kKmem, kWatermark>, reset_watermark<kKmem>},
    {"memory.kmem.failcnt", Format::kValue, false, show_failcnt<kKmem>,
     reset_failcnt<kKmem>},
    {"memory.kmem.tcp.limit_in_bytes", Format::kValue, true,
     show_counter_v1<kSock, kMax>, store_counter_v1<kSock>},
    {"memory.kmem.tcp.usage_in_bytes", Format::kValue, false,
     show_counter_v1<kSock, kUsage>, nullptr},
    {"memory.kmem.tcp.max_usage_in_bytes", Format::kValue, false,
     show_counter_v1<kSock, kWatermark>, reset_watermark<kSock>},
    {"memory.kmem.tcp.failcnt", Format::kValue, false, show_failcnt<kSock>,
     reset_failcnt<kSock>},
    {"cgroup.procs", Format::kLines, false, show_procs, store_procs},
    {"cgroup.threads", Format::kLines, false, show_threads, nullptr},
    {"cgroup.controllers", Format::kWords, false, show_controllers, nullptr},
    {"cgroup.subtree_control", Format::kWords, false, show_subtree_control,
     store_subtree_control},
    {"cgroup.events", Format::kKeyed, false, show_cgroup_events, nullptr},
    {"cgroup.type", Format::kValue, false, show_type, nullptr},
    {"cgroup.stat", Format::kKeyed, false, show_cgroup_stat, nullptr},
    {"cgroup.pressure", Format::kValue, false, show_pressure_switch,
     store_pressure_switch},
    {"cgroup.max.depth", Format::kValue, false, show_max_depth,
     store_max_depth},
    {"cgroup.max.descendants", Format::kValue, false, show_max_descendants,
     store_max_descendants},
    {nullptr, Format::kValue, false, nullptr, nullptr},
};

const ControlFile* find_control_file(const char* name) {
  for (const ControlFile* file = kControlFiles; file->name != nullptr; ++file) {
    if (std::strcmp(file->name, name) == 0) return file;
  }
  return nullptr;
}

bool has_control_file(Segment& segment, uint32_t group,
                      const ControlFile& file) {
  // Not the memory controller's, whatever its name.
  if (file.show == show_pressure) return psi_enabled(segment, group);
  return !is_memory_file(file.name) ||
         has_controller(segment, group, kControllerMemory);
}

int ControlFile::store(Segment& segment, uint32_t group, const char* value,
                       size_t length) const {
  if (!group_online(segment, group)) return ENODEV;
  char stripped[kValueSize];
  if (set == nullptr || (limits && group == kRootGroup) || length == 0 ||
      !strip(value, length, stripped)) {
    return EINVAL;
  }
  return set(segment, group, stripped);
}

}  // namespace umemcg
