// Who hears of a window of pressure: vmpressure_work_fn and vmpressure_event in
// Linux. A window that ends in a group is told to the listeners of that group,
// then to those of the groups above it:
//
//   kDefault    unless a listener of a lower group has been told
//   kHierarchy  in any case
//   kLocal      only of windows of its own group
//
// The listeners of a group may be in any process of the domain. What is
// listened for stands in VmPressure::listeners, a bit for each level and mode,
// so all processes come to the same result.
#pragma once

#include <cstdint>

#include "accounting/segment.h"

namespace umemcg {

enum class PressureMode : uint8_t { kDefault, kHierarchy, kLocal };
inline constexpr int kPressureModes = 3;

constexpr uint32_t pressure_bit(PressureLevel from, PressureMode mode) {
  return uint32_t{1} << (static_cast<int>(mode) * kPressureLevels +
                         static_cast<int>(from));
}

// A window of some level on its way up the tree.
class PressureDelivery {
 public:
  explicit PressureDelivery(PressureLevel level) : level_(level) {}

  // Whether a listener of the present group for windows `from` a level on is
  // told.
  bool reaches(PressureLevel from, PressureMode mode) const {
    if (ancestor_ && mode == PressureMode::kLocal) return false;
    if (signalled_ && mode == PressureMode::kDefault) return false;
    return level_ >= from;
  }

  // On to the group above; `listeners` is what the present one is listened for.
  void go_up(uint32_t listeners);

 private:
  PressureLevel level_;
  bool ancestor_ = false;
  bool signalled_ = false;
};

// What this process has seen of all groups' windows: counts, so that none is
// lost by who comes late, but those of a group whose row is another's by then.
class PressureWindows {
 public:
  constexpr PressureWindows() = default;
  PressureWindows(const PressureWindows&) = delete;
  PressureWindows& operator=(const PressureWindows&) = delete;

  // From now on. 0 or an error number; nothing if that was done.
  int begin(Segment& segment);
  // What was seen is forgotten.
  void end();
  bool begun() const { return rows_ != nullptr; }

  // Calls `tell(group, level, windows)` for each group in which windows have
  // ended since the last look, of each level.
  template <typename Tell>
  void look(Segment& segment, Tell tell) {
    const uint32_t used = segment.groups_used();
    for (uint32_t i = 0; i < used && i < count_; ++i) {
      uint64_t fresh[kPressureLevels];
      if (!take(segment, i, fresh)) continue;
      for (int level = 0; level < kPressureLevels; ++level) {
        if (fresh[level] == 0) continue;
        tell(i, static_cast<PressureLevel>(level), fresh[level]);
      }
    }
  }

 private:
  struct Row {
    uint64_t group_id;  // 0: not seen yet
    uint64_t windows[kPressureLevels];
  };

  bool take(Segment& segment, uint32_t group,
            uint64_t (&fresh)[kPressureLevels]);

  Row* rows_ = nullptr;
  uint32_t count_ = 0;
};

}  // namespace umemcg
