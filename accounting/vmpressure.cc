#include "accounting/vmpressure.h"

#include "accounting/mem_cgroup.h"
#include "accounting/notify.h"

namespace umemcg {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr uint64_t kMediumPercent = 60;
constexpr uint64_t kCriticalPercent = 95;

// 4 TiB at once: far more than says anything, and a window stays in its word.
constexpr int64_t kMostPages = int64_t{1} << 30;
constexpr int kScannedShift = 32;

uint64_t bounded(int64_t pages) {
  if (pages < 0) return 0;
  return static_cast<uint64_t>(pages < kMostPages ? pages : kMostPages);
}

bool anybody_listens(Segment& segment, uint32_t group) {
  for (int level = 0; level <= kMaxDepth && group != kNone; ++level) {
    const Group* row = segment.group(group);
    if (row == nullptr) return false;
    if (row->pressure.listeners.load(kRelaxed) != 0) return true;
    group = parent_group(segment, group);
  }
  return false;
}

}  // namespace

// The kernel's arithmetic, with its rounding.
PressureLevel pressure_level(uint64_t scanned, uint64_t reclaimed) {
  if (reclaimed >= scanned) return PressureLevel::kLow;
  const uint64_t scale = scanned + reclaimed;
  const uint64_t pressure = scale - reclaimed * scale / scanned;
  const uint64_t percent = pressure * 100 / scale;
  if (percent >= kCriticalPercent) return PressureLevel::kCritical;
  return percent >= kMediumPercent ? PressureLevel::kMedium
                                   : PressureLevel::kLow;
}

void vmpressure(Segment& segment, uint32_t group, int64_t scanned,
                int64_t reclaimed) {
  Group* row = segment.group(group);
  if (row == nullptr || scanned <= 0) return;
  std::atomic<uint64_t>& window = row->pressure.window;
  uint64_t before = window.load(kRelaxed);
  uint64_t seen, got, next;
  do {
    seen = (before >> kScannedShift) + bounded(scanned);
    got = (before & UINT32_MAX) + bounded(reclaimed);
    if (got > UINT32_MAX) got = UINT32_MAX;
    next = seen >= kPressureWindow ? 0 : seen << kScannedShift | got;
    // relaxed: the word is all there is to a window.
  } while (!window.compare_exchange_weak(before, next, kRelaxed));
  if (seen < kPressureWindow) return;
  const int level = static_cast<int>(pressure_level(seen, got));
  // release: pairs with those who are told, and then look (notify.h).
  row->pressure.windows[level].fetch_add(1, std::memory_order_release);
  if (anybody_listens(segment, group)) notify_listeners(segment);
}

void vmpressure_prio(Segment& segment, uint32_t group, int priority) {
  if (priority > kCriticalPriority) return;
  vmpressure(segment, group, kPressureWindow, 0);
}

}  // namespace umemcg
