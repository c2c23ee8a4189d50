// The controllers, as a table: what happens when a group gets one, loses it or
// goes away. cgroup_subsys in Linux. Called with the segment's lock.
#pragma once

#include <cstdint>

#include "accounting/segment.h"

namespace umemcg {

struct Controller {
  const char* name;
  uint32_t bit;  // in subtree_control
  // A fresh row, or one that gets the controller: counters at 0, defaults.
  void (*alloc)(Segment& segment, uint32_t group);
  // It is visible from here on.
  void (*online)(Segment& segment, uint32_t group);
  // It is on its way out: no protection any more.
  void (*offline)(Segment& segment, uint32_t group);
  // Nothing refers to it.
  void (*free)(Segment& segment, uint32_t group);
  // Its limits and protections are what a new group has.
  void (*reset)(Segment& segment, uint32_t group);
};

inline constexpr int kControllers = 1;
extern const Controller kControllerTable[kControllers];

// The controller of that name (not NUL-terminated), or null.
const Controller* find_controller(const char* name, size_t length);

}  // namespace umemcg
