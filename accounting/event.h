// memory.events: counted for the group it happens in (local) and for it and
// every ancestor below the root. Counters only ever go up; relaxed, since
// nothing else is ordered by them.
#pragma once

#include <cstdint>

namespace umemcg {

struct Group;
class Segment;

enum class Event : uint8_t {
  kLow,
  kHigh,
  kMax,
  kOom,
  kOomKill,
  kOomGroupKill,
  kSockThrottled,
};
inline constexpr int kEvents = 7;
inline constexpr const char* kEventNames[kEvents] = {
    "low",      "high",           "max",           "oom",
    "oom_kill", "oom_group_kill", "sock_throttled"};

void memcg_memory_event(Segment& segment, uint32_t group, Event event);

}  // namespace umemcg
