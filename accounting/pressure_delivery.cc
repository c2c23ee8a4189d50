#include "accounting/pressure_delivery.h"

#include <sys/mman.h>

#include "accounting/mem_cgroup.h"
#include "base/sys.h"

namespace umemcg {
namespace {
constexpr auto kRelaxed = std::memory_order_relaxed;
}  // namespace

void PressureDelivery::go_up(uint32_t listeners) {
  // All of a group are told as if none of them had been yet.
  bool told = false;
  for (int mode = 0; mode < kPressureModes; ++mode) {
    for (int from = 0; from < kPressureLevels; ++from) {
      const auto its_mode = static_cast<PressureMode>(mode);
      const auto its_level = static_cast<PressureLevel>(from);
      told |= (listeners & pressure_bit(its_level, its_mode)) != 0 &&
              reaches(its_level, its_mode);
    }
  }
  signalled_ |= told;
  ancestor_ = true;
}

int PressureWindows::begin(Segment& segment) {
  if (begun()) return 0;
  int error = 0;
  count_ = segment.group_count();
  rows_ = static_cast<Row*>(
      sys::map_anonymous(count_ * sizeof(Row), PROT_READ | PROT_WRITE, &error));
  if (rows_ == nullptr) return error;
  look(segment, [](uint32_t, PressureLevel, uint64_t) {});
  return 0;
}

void PressureWindows::end() {
  if (begun()) sys::unmap(rows_, count_ * sizeof(Row));
  rows_ = nullptr;
  count_ = 0;
}

// All windows of a group that was made since the last look are later than that.
// A count that has fallen is damage, and begins anew.
bool PressureWindows::take(Segment& segment, uint32_t group,
                           uint64_t (&fresh)[kPressureLevels]) {
  const uint64_t id = group_id(segment, group);
  if (id == 0) return false;
  Row& row = rows_[group];
  if (row.group_id != id) row = {id, {}};
  bool any = false;
  for (int level = 0; level < kPressureLevels; ++level) {
    const uint64_t now =
        segment.group(group)->pressure.windows[level].load(kRelaxed);
    fresh[level] = now > row.windows[level] ? now - row.windows[level] : 0;
    row.windows[level] = now;
    any |= fresh[level] != 0;
  }
  return any;
}

}  // namespace umemcg
