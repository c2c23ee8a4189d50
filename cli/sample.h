// One look at a domain: what `top`, `record`, `export` and `stat` show. All of
// it is read from g_segment within a moment, but not at one instant: what moves
// meanwhile may be off by that.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "accounting/event.h"
#include "accounting/psi.h"
#include "accounting/source.h"

namespace umemcg {

// Amounts are bytes, of the group and those below it; kUnlimited where there is
// no limit.
inline constexpr int64_t kUnlimited = INT64_MAX;

struct GroupSample {
  uint64_t id = 0;  // of this group alone, ever
  std::string path;
  unsigned depth = 0;  // 0: the root
  int64_t usage = 0, peak = 0;
  int64_t min = 0, low = 0, high = kUnlimited, max = kUnlimited;
  // What can still be charged before a charge is refused: the one figure that
  // predicts a refusal. Of this group and each one above it that has a limit,
  // the least of
  //
  //     max - usage + charged ahead in its subtree + cached in its subtree
  //
  // at least 0; kUnlimited if nothing limits. Only what comes back at once
  // counts as cached: not what memory.min keeps for a group below the limit,
  // nor what a process has that was asked for it and did not answer. More may
  // be won (heaps collected, shrinkers, the reserve), so a charge of more may
  // still stand.
  int64_t available = kUnlimited;
  int64_t cached = 0, stock = 0;       // parts of usage
  int64_t charged = 0, uncharged = 0;  // ever
  std::array<uint64_t, kEvents> events{};
  std::array<uint64_t, kPsiStates> stall_us{};                         // ever
  std::array<std::array<double, kPsiAverages>, kPsiStates> stalled{};  // %
  std::array<uint64_t, kSources> reclaimed{};  // bytes, ever
  uint32_t processes = 0, threads = 0;         // in the group itself
};

// What a process has charged to one group.
struct ProcessCharge {
  uint64_t group;  // its id
  int64_t charged;
};

struct ProcessSample {
  int32_t pid = 0;  // 0: in another pid namespace
  std::string name;
  uint64_t group = 0;   // its id
  int64_t charged = 0;  // to all groups
  std::vector<ProcessCharge> charges;
  bool ended = false;  // children that it forked hold what they inherited
};

struct Sample {
  std::string domain;               // path of its file
  uint64_t clock_ns = 0;            // CLOCK_MONOTONIC
  int64_t wall_ms = 0;              // since 1970
  std::vector<GroupSample> groups;  // parents before children, siblings by name
  std::vector<ProcessSample> processes;
};

// REQUIRES: open_domain() has been called. Reaps the dead first.
Sample take_sample();

}  // namespace umemcg
