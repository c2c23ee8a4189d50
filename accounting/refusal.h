// The last refusals of a group: what was asked for, what stood in the way, and
// what reclaim got from each source. `umemcg explain` reads them.
#pragma once

#include <atomic>
#include <cstdint>

#include "accounting/source.h"

namespace umemcg {

class Segment;
struct Group;

// How a charge that was refused ended.
enum class Outcome : uint32_t {
  kFailed,    // ENOMEM
  kReserve,   // served from the emergency reserve
  kForced,    // went over the limit
  kKilled,    // a process was killed for it
  kCallback,  // the program's callback decided
  kWaited,    // waited for room in vain
};
inline constexpr uint32_t kOutcomes = 6;
inline constexpr const char* kOutcomeNames[kOutcomes] = {
    "failed", "reserve", "forced", "killed", "callback", "waited"};

// One refusal. Written by one thread; a reader takes it if `sequence` was the
// same, and even, before and after.
struct Refusal {
  std::atomic<uint64_t> sequence;  // odd while it is written
  std::atomic<uint64_t> time_ms;   // CLOCK_REALTIME
  std::atomic<uint64_t> group_id;  // that was charged
  std::atomic<int32_t> pid;
  std::atomic<int32_t> thread;
  std::atomic<Outcome> outcome;
  std::atomic<uint32_t> flags;   // ChargeFlag
  std::atomic<int64_t> request;  // pages, as those below
  std::atomic<int64_t> limit;
  std::atomic<int64_t> usage;
  std::atomic<int64_t> cached;
  std::atomic<int64_t> got[kSources];
  std::atomic<uint64_t> name[2];  // of the thread, 15 bytes and a NUL
};

// Whether it was let over the limit after all. There are many of those where a
// program goes on after a failure, so each kind has places of its own.
inline constexpr bool was_let_pass(Outcome outcome) {
  return outcome == Outcome::kReserve || outcome == Outcome::kForced;
}

inline constexpr uint32_t kFailures = 4;
inline constexpr uint32_t kPasses = 2;
inline constexpr uint32_t kRefusals = kFailures + kPasses;

struct RefusalLog {
  std::atomic<uint64_t> count;   // ever refused, and not let pass
  std::atomic<uint64_t> passed;  // ever let pass
  // kFailures, the next in place count % kFailures; then kPasses, likewise.
  Refusal entries[kRefusals];
};

// What is known of a refusal when it happens.
struct RefusalReport {
  uint32_t charged;  // the group that asked
  Outcome outcome;
  uint32_t flags;
  int64_t request;
  int64_t cached;      // in the subtree of the limit
  const int64_t* got;  // by source
};

// Writes it down with the group whose limit refused. Async-signal-safe; two at
// once that meet in an entry: the later one is counted only.
void record_refusal(Segment& segment, uint32_t limiting,
                    const RefusalReport& report);

// A refusal as it is read.
struct RefusalView {
  uint64_t number;  // from 0, of those let pass and of the others
  uint64_t time_ms;
  uint64_t group_id;
  int32_t pid;
  int32_t thread;
  Outcome outcome;
  uint32_t flags;
  int64_t request;
  int64_t limit;
  int64_t usage;
  int64_t cached;
  int64_t got[kSources];
  char name[16];
};

// The last refusals of the group, the newest first; how many.
int read_refusals(const Group& group, RefusalView (&views)[kRefusals]);

}  // namespace umemcg
