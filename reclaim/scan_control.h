// One reclaim: what it wants, how far it has come, and the walk over the groups
// of the subtree, which every source that is spread over groups uses. struct
// scan_control, shrink_node_memcgs and get_scan_count in Linux.
#pragma once

#include <cstdint>

#include "accounting/account.h"
#include "reclaim/reclaim.h"

namespace umemcg {

struct ScanControl {
  uint32_t root;    // whose limit it is: protection counts from here down
  uint32_t within;  // only what lies in the subtree of this group, root's too
  int64_t goal;
  ReclaimReason reason;
  Reclaimed* sum;
  uint64_t wait_until_ns;  // others are waited for, in all
  int64_t reclaimed = 0;
  int priority = kFirstPriority;
  int64_t owed = 0;  // of shares too small to be taken each
  // The second round: `low` no longer protects.
  bool over_low = false;
  // Something was left alone because of its `low`.
  bool low_skipped = false;

  bool done() const { return reclaimed >= goal; }
  int64_t left() const { return goal - reclaimed; }
};

// A source that has pages of some groups. Its functions are called for accounts
// of the subtree in turn.
struct Spread {
  Source source;
  // Whether there may be something: cheap, asked of all accounts.
  bool (*has)(const Account& account);
  // Pages that it could give back for the account's group.
  int64_t (*size)(Account& account);
  // Gives back about `pages`; how many came back.
  int64_t (*shrink)(Account& account, int64_t pages);
};

// Walks the subtree at falling priorities until the goal is met or nothing is
// left that may be taken. Adds to sc.reclaimed and *sc.sum.
void shrink_spread(ScanControl& sc, const Spread& spread);

// Groups over their soft limit go first, the largest excess first: takes from
// them what they have too much.
void shrink_over_soft_limit(ScanControl& sc, const Spread& spread);

}  // namespace umemcg
