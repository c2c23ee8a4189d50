// Effective protection: pure arithmetic on values that the charges maintain.
// The kernel computes in unsigned long and so does this, wrap-around included
// (a share of "max" over many unprotected pages overflows there too).

#include "accounting/page_counter.h"

namespace umemcg {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

struct Protection {
  uint64_t usage;  // of the counter
  uint64_t parent_usage;
  uint64_t setting;  // its min or low
  uint64_t parent_effective;
  uint64_t siblings_protected;  // sum over the parent's children
};

uint64_t effective_protection(const Protection& p, bool recursive) {
  uint64_t protected_usage = p.usage < p.setting ? p.usage : p.setting;
  // More is claimed than the parent has: in proportion to what each uses.
  if (p.siblings_protected > p.parent_effective) {
    return protected_usage * p.parent_effective / p.siblings_protected;
  }
  // What the parent has and no child claims goes to the children's
  // unprotected usage, in proportion.
  if (recursive && p.parent_effective > p.siblings_protected &&
      p.parent_usage > p.siblings_protected && p.usage > protected_usage) {
    uint64_t unclaimed = p.parent_effective - p.siblings_protected;
    return protected_usage + unclaimed * (p.usage - protected_usage) /
                                 (p.parent_usage - p.siblings_protected);
  }
  return protected_usage;
}

uint64_t to_unsigned(int64_t pages) { return static_cast<uint64_t>(pages); }

// What a level has of what the level above it has effectively.
PageCounter::Effective effective_below(const PageCounter& above,
                                       const PageCounter& level,
                                       PageCounter::Effective of_above,
                                       bool recursive) {
  const uint64_t used = to_unsigned(level.usage());
  const uint64_t above_used = to_unsigned(above.usage());
  auto effective = [&](int64_t setting, int64_t parent, int64_t siblings) {
    const Protection p{used, above_used, to_unsigned(setting),
                       to_unsigned(parent), to_unsigned(siblings)};
    return static_cast<int64_t>(effective_protection(p, recursive));
  };
  return {effective(level.min(), of_above.min, above.children_min_usage()),
          effective(level.low(), of_above.low, above.children_low_usage())};
}

}  // namespace

void PageCounter::calculate_protection(const PageCounter* root,
                                       bool recursive) {
  // The target's own protection is ignored: it is what is under pressure.
  if (this == root || usage() == 0) return;
  const PageCounter* above = parent();
  if (above == nullptr) return;
  Effective own{min(), low()};
  if (above != root) {
    own = effective_below(*above, *this, {above->emin(), above->elow()},
                          recursive);
  }
  emin_.store(own.min, kRelaxed);
  elow_.store(own.low, kRelaxed);
}

PageCounter::Effective PageCounter::effective_protection_under(
    const PageCounter& root, bool recursive) const {
  const PageCounter* path[kMostLevels];
  int levels = 0;
  for (const PageCounter* at = this; at != &root; at = at->parent()) {
    if (at == nullptr || levels == kMostLevels) return {};
    path[levels++] = at;
  }
  if (levels == 0) return {};
  const PageCounter* above = path[--levels];
  Effective own{above->min(), above->low()};
  while (levels-- > 0) {
    // What it has beyond its usage protects nothing, and would only make the
    // products below wrap: "max" is a setting like any other.
    const int64_t used = above->usage();
    if (own.min > used) own.min = used;
    if (own.low > used) own.low = used;
    own = effective_below(*above, *path[levels], own, recursive);
    above = path[levels];
  }
  return own;
}

}  // namespace umemcg
