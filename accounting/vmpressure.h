// How hard reclaim has it in a group: vmpressure in Linux. Pages that were
// looked at and pages that came of it are added up until 512 were looked at;
// the share of that window which came to nothing is its level. So the time in
// which windows pass is reclaim's own.
//
// Lock-free, and no window is lost or counted twice: one word holds both sums,
// and who fills the window swaps it for an empty one.
#pragma once

#include <atomic>
#include <cstdint>

namespace umemcg {

class Segment;

enum class PressureLevel : uint8_t { kLow, kMedium, kCritical };
inline constexpr int kPressureLevels = 3;
inline constexpr const char* kPressureNames[kPressureLevels] = {"low", "medium",
                                                                "critical"};
inline constexpr uint64_t kPressureWindow = 512;  // pages
// From this priority on reclaim looks at an eighth of what there is at a time:
// that is critical.
inline constexpr int kCriticalPriority = 3;

struct VmPressure {
  // The window under way: pages looked at above, pages reclaimed below (32 bits
  // each).
  std::atomic<uint64_t> window;
  // Windows that ended with that level in this very group, ever.
  std::atomic<uint64_t> windows[kPressureLevels];
  std::atomic<uint32_t> listeners;  // to this group: marks (notify.h)
};

// Of a window: critical from 95 % on that came to nothing, medium from 60 % on.
// Low if nothing was looked at, or more came of it than was.
PressureLevel pressure_level(uint64_t scanned, uint64_t reclaimed);

// Reclaim for `group` has looked at that many pages and got that many back.
// Nothing if it looked at none: that says nothing yet. Tells listeners
// (notify.h) of a window that ends.
void vmpressure(Segment& segment, uint32_t group, int64_t scanned,
                int64_t reclaimed);

// Reclaim has come down to `priority`: from 3 on it counts as a window that
// came to nothing. vmpressure_prio.
void vmpressure_prio(Segment& segment, uint32_t group, int priority);

}  // namespace umemcg
