// Whether anybody is productive beside those that stand still for memory:
// looking at threads of the subtree in /proc.
#pragma once

#include <cstdint>

#include "accounting/segment.h"

namespace umemcg {

// No group is looked at more often, nor more threads at a time: a look that
// finds nobody running costs some 10 us a thread, and needs a processor that
// nobody else wants.
inline constexpr uint64_t kPsiLookPauseUs = 10'000;
inline constexpr int kPsiMostLooks = 64;

// Looks for productive threads in the subtree of `group`, and puts down what
// it finds there and in all groups above it. Nothing if it was looked at a
// moment ago.
//
// Not counted are the calling thread (or a look would always find somebody),
// the workers of umemcg, threads without a line, and those in another pid
// namespace. Where there is no /proc, nobody is productive.
void psi_look(Segment& segment, uint32_t group, uint64_t now_us);

// Books the time up to now in a group, its averages first if a period is over.
void psi_settle(Segment& segment, PsiGroup& psi, uint64_t now_us);

}  // namespace umemcg
