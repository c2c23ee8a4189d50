#include "accounting/notify.h"

#include "accounting/mem_cgroup.h"

namespace umemcg {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

constinit UMEMCG_TLS int64_t t_page_events = 0;

bool has_thresholds(Segment& segment, uint32_t group) {
  for (int level = 0; level <= kMaxDepth && group != kNone; ++level) {
    const Group* row = segment.group(group);
    if (row == nullptr) return false;
    if (row->thresholds.load(kRelaxed) != 0) return true;
    group = parent_group(segment, group);
  }
  return false;
}

}  // namespace

void sleep_for_news(Segment& segment, uint32_t seen, uint64_t timeout_ns) {
  SegmentHeader& header = segment.header();
  wait_for_news(header.notify_seq, header.notify_waiters, seen, timeout_ns);
}

// A handler that interrupts it may lose its own few events.
void count_page_events(Segment& segment, uint32_t group, int64_t pages) {
  if (!has_thresholds(segment, group)) return;
  t_page_events += pages;
  if (t_page_events < kThresholdEvents) return;
  t_page_events = 0;
  notify_listeners(segment);
}

void forget_listeners(Segment& segment) {
  segment.header().thresholds.store(0, kRelaxed);
  for (uint32_t i = 0; i < segment.groups_used(); ++i) {
    Group& group = *segment.group(i);
    group.thresholds.store(0, kRelaxed);
    group.pressure.listeners.store(0, kRelaxed);
    group.psi.triggers.store(0, kRelaxed);
  }
  notify_listeners(segment);
}

}  // namespace umemcg
