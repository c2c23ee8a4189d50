// Pressure stall information of a group, psi_group in Linux: for how long some
// of its threads, and all of its productive ones, were held up for memory.
//
//   some   a thread of the subtree stands still for want of memory
//   full   the same, and no other thread of the subtree is productive
//
// Productive is, as in the kernel, who runs or could run: a thread of the
// subtree that has a line in the segment, does not stand still, and is in state
// R by /proc. That is looked at (psi_look.h), not followed: when a thread
// begins to stand still, when it ends, and when figures are read, at most
// every 10 ms. Of two looks that disagree, the change is taken to have been in
// the middle.
//
// A thread that stands still says so in its line (StockLine::stalled), so that
// it is counted out when its process is killed; one without a line is not
// counted at all. `PsiGroup::state` holds how many stand still and since when
// in one word: whoever swaps it owns the time up to then, and adds it to the
// totals. So changes need no lock; the averages are one thread's at a time
// (`lease`), and who does not get it goes on.
//
// Accepted: a process killed in the middle of a change takes with it the time
// since the one before, of that group.
#pragma once

#include <atomic>
#include <cstdint>

namespace umemcg {

class Segment;
class TextBuffer;
struct StockLine;

enum PsiState : uint8_t { kPsiSome, kPsiFull };
inline constexpr int kPsiStates = 2;
inline constexpr int kPsiAverages = 3;  // over 10, 60 and 300 seconds

// What lies in the segment. Times are microseconds of CLOCK_MONOTONIC.
struct PsiGroup {
  std::atomic<uint64_t> lease;  // of the averages (accounting/lease.h)
  std::atomic<uint64_t> state;  // PsiWord (psi_average.h)
  std::atomic<uint64_t> total_us[kPsiStates];
  std::atomic<uint64_t> looked_us;    // productive threads, the last time
  std::atomic<uint64_t> averaged_us;  // averages are up to here; 0: not begun
  std::atomic<uint64_t> averaged_total_us[kPsiStates];
  std::atomic<uint64_t> average[kPsiStates][kPsiAverages];  // fixed point
  std::atomic<uint32_t> disabled;                           // cgroup.pressure
  std::atomic<uint32_t> triggers;  // 1: somebody waits for one (notify.h)
};

// The calling thread stands still for want of memory in `group` of g_segment
// (the nearest group above that is online), and so in all groups above it:
// psi_memstall_enter and psi_memstall_leave. Scopes nest: the outermost counts.
// May wait at the gate (gate.h), so not for use in a ChargeSection; errno is
// kept.
class MemstallScope {
 public:
  explicit MemstallScope(uint32_t group);
  ~MemstallScope();
  MemstallScope(const MemstallScope&) = delete;
  MemstallScope& operator=(const MemstallScope&) = delete;

 private:
  StockLine* line_ = nullptr;  // that says so; null: not the outermost
};

// The thread of this line does not stand still any more: it ends, or it has
// died.
void psi_forget_line(Segment& segment, StockLine& line);

// A recount has found `by` more threads standing still in the group's subtree
// than it says (fewer, below 0).
void psi_correct(Segment& segment, uint32_t group, int by);
// How many it says.
uint32_t psi_stalled(const PsiGroup& psi);

// Brings the group's totals and averages up to date. Nothing has to: they are
// right whenever they are read. But with productive threads that come and go
// during a stall, `full` is the better the more often this is called: who
// stands still for long calls it now and then.
void psi_update(Segment& segment, uint32_t group, uint64_t now_ns);

// Whether the group's time is counted: cgroup.pressure.
void psi_set_enabled(Segment& segment, uint32_t group, bool enabled);
bool psi_enabled(Segment& segment, uint32_t group);

// "some avg10=0.00 avg60=0.00 avg300=0.00 total=0", and the same for full. Of
// what is there; psi_update() first.
void psi_show(const PsiGroup& psi, TextBuffer& out);

}  // namespace umemcg
