// The arithmetic of pressure stall information: a group's words, and what a
// moment makes of them. Times come from the caller; nothing here looks around.
//
// Averages are those of the kernel's calc_load(): every two seconds
//
//     average += (percent of the time that was stalled - average) * (1 - e)
//
// with e = exp(-2/10), exp(-2/60), exp(-2/300). Two differences. The state is
// known at any moment, so a period ends where it ends, not where somebody comes
// by, and periods that nobody looked at count with what was in them, not with
// 0. And there are more bits: with the kernel's 11 an average over 300 s may be
// more than 1 % (of 100) off.
#pragma once

#include <cstdint>

#include "accounting/psi.h"

namespace umemcg {

inline constexpr uint64_t kPsiPeriodUs = 2'000'000;
// A percentage in fixed point.
inline constexpr int kPsiShift = 20;

// How many threads stand still, whether another was found running, and since
// when that is so: 48 bits of microseconds, one, and 15 of the number.
class PsiWord {
 public:
  static constexpr uint32_t kMostStalled = (1u << 15) - 1;

  constexpr explicit PsiWord(uint64_t bits) : bits_(bits) {}
  constexpr PsiWord(uint64_t since_us, bool productive, uint32_t stalled)
      : bits_((since_us & kTimes) << 16 | uint64_t{productive} << 15 |
              (stalled < kMostStalled ? stalled : kMostStalled)) {}

  constexpr uint64_t bits() const { return bits_; }
  constexpr uint64_t since_us() const { return bits_ >> 16; }
  constexpr bool productive() const { return (bits_ >> 15 & 1) != 0; }
  constexpr uint32_t stalled() const {
    return static_cast<uint32_t>(bits_) & kMostStalled;
  }
  constexpr bool in(PsiState state) const {
    return stalled() != 0 && (state == kPsiSome || !productive());
  }

 private:
  static constexpr uint64_t kTimes = (uint64_t{1} << 48) - 1;

  uint64_t bits_;
};

// Each of these books the time that has passed since the last change first.
//
// The totals are right up to `now_us`.
void psi_advance(PsiGroup& psi, uint64_t now_us);
// So many threads more (or less) stand still. The word before.
PsiWord psi_add_stalled(PsiGroup& psi, uint64_t now_us, int by);
// Another thread runs, or none does.
void psi_set_productive(PsiGroup& psi, uint64_t now_us, bool productive);

// Whether a period is over, or none has begun.
bool psi_average_due(const PsiGroup& psi, uint64_t now_us);
// Takes the averages up to the last end of a period before `now_us`. To be
// called before each change above if it is due: then what follows is exact.
// REQUIRES: one caller at a time, or a period may count twice.
void psi_average(PsiGroup& psi, uint64_t now_us);

}  // namespace umemcg
