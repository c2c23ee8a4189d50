// Telling listeners in any process of the domain that there may be something to
// see: thresholds, pressure, requests to reclaim. One futex for the domain; who
// listens looks for itself what has changed.
//
// That somebody listens is a mark, not a count (Group::thresholds,
// VmPressure::listeners, PsiGroup::triggers): each worker sets those of its own
// listeners again and again, and when a listener has gone, or the process of
// one has been killed, all are cleared.
#pragma once

#include <cstdint>

#include "accounting/segment.h"
#include "base/attributes.h"
#include "base/news.h"

namespace umemcg {

// Costs an addition if nobody listens. Async-signal-safe.
inline void notify_listeners(Segment& segment) {
  SegmentHeader& header = segment.header();
  tell_news(header.notify_seq, header.notify_waiters);
}

// What there is to tell up to now, for sleep_for_news().
inline uint32_t news(Segment& segment) {
  return segment.header().notify_seq.load(std::memory_order_seq_cst);
}

// Sleeps until there is news after `seen`, at most `timeout_ns`. May return
// before.
void sleep_for_news(Segment& segment, uint32_t seen, uint64_t timeout_ns);

// THRESHOLDS_EVENTS_TARGET: thresholds are looked at once per so many pages
// that a thread charges or uncharges.
inline constexpr int64_t kThresholdEvents = 128;

UMEMCG_COLD void count_page_events(Segment& segment, uint32_t group,
                                   int64_t pages);

// The calling thread has charged or uncharged `pages` of the group, which the
// thresholds of it and of those above it may want to see. One load if nobody
// in the domain listens to any. Async-signal-safe.
UMEMCG_FAST void threshold_events(Segment& segment, uint32_t group,
                                  int64_t pages) {
  if (UMEMCG_UNLIKELY(
          segment.header().thresholds.load(std::memory_order_relaxed) != 0)) {
    count_page_events(segment, group, pages);
  }
}
// A listener has gone: the marks are cleared, and those who still listen set
// theirs again.
void forget_listeners(Segment& segment);

}  // namespace umemcg
