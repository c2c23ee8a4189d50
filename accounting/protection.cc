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

}  // namespace

void PageCounter::calculate_protection(const PageCounter* root,
                                       bool recursive) {
  // The target's own protection is ignored: it is what is under pressure.
  if (this == root) return;
  uint64_t used = to_unsigned(usage());
  if (used == 0) return;
  const PageCounter* above = parent();
  if (above == nullptr) return;
  if (above == root) {
    emin_.store(min(), kRelaxed);
    elow_.store(low(), kRelaxed);
    return;
  }
  uint64_t above_used = to_unsigned(above->usage());
  Protection p{used, above_used, to_unsigned(min()), to_unsigned(above->emin()),
               to_unsigned(above->children_min_usage())};
  emin_.store(static_cast<int64_t>(effective_protection(p, recursive)),
              kRelaxed);
  p.setting = to_unsigned(low());
  p.parent_effective = to_unsigned(above->elow());
  p.siblings_protected = to_unsigned(above->children_low_usage());
  elow_.store(static_cast<int64_t>(effective_protection(p, recursive)),
              kRelaxed);
}

}  // namespace umemcg
