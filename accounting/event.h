// memory.events: counted for the group it happens in (local) and for it and
// every ancestor below the root. Counters only ever go up; relaxed, since
// nothing else is ordered by them.
//
// Each raises event_seq of the groups that it counts for, after that, and of
// the root, for who follows all groups; whoever waits for events of a group
// sleeps on it (base/news.h).
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

// What has happened up to now: memory.events and memory.events.local of the
// group, read after this, are at least as new. Never 0. acquire.
uint64_t event_generation(Segment& segment, uint32_t group);

// Waits until event_generation() is no more `seen`, at most `timeout_ns`. 0, or
// an error number: ETIMEDOUT, EINTR (a signal handler ran), ENODEV (the group
// with that id has been removed).
int wait_for_event(Segment& segment, uint32_t group, uint64_t id, uint64_t seen,
                   uint64_t timeout_ns);

// Something has happened that waiters for the group's events want to look at.
void wake_event_waiters(Group& group);

}  // namespace umemcg
