// Stopping the charging ahead for a moment, so that a charge is refused only
// when the pages are really in use.
//
// Pages that somebody has charged ahead are within reach of a drain only when
// they lie in a stock, and a drain makes room that the next thread may charge
// ahead again. So who is about to refuse presses the group whose limit it is:
//
//   refuser:  press (seq_cst); wait until each busy mark has been seen clear;
//             drain all stocks; wait again; charge, or refuse
//   charger:  busy (seq_cst); look whether it is pressed (seq_cst); if not,
//             charge ahead and put it into the stock; not busy
//
// One of the two sees the other: after the first wait nothing more goes into a
// stock of the subtree, after the second all that was in one is uncharged.
//
// A press ends by itself, so nothing is left behind by who dies in the middle
// of it. One that may have ended meanwhile proves nothing, and is repeated.
#pragma once

#include <cstdint>

#include "accounting/layout.h"
#include "base/sys.h"

namespace umemcg {

inline constexpr uint64_t kPressMs = 50;

// The time of the press, for press_holds().
inline uint64_t press(Group& group) {
  const uint64_t now = sys::coarse_ms();
  // seq_cst: pairs with pressed(); the busy marks are read after it.
  group.pressed_ms.store(now, std::memory_order_seq_cst);
  return now;
}

inline bool press_holds(uint64_t since) {
  return sys::coarse_ms() - since <= kPressMs;
}

// REQUIRES: the caller is in a ChargeSection, or does not act on it.
inline bool pressed(const Group& group) {
  // seq_cst: pairs with press(); the busy mark was set before it.
  const uint64_t since = group.pressed_ms.load(std::memory_order_seq_cst);
  return since != 0 && press_holds(since);
}

}  // namespace umemcg
