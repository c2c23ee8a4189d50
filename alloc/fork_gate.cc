#include "alloc/fork_gate.h"

#include "base/attributes.h"
#include "base/sys.h"

namespace umemcg {
namespace {
constexpr uint64_t kPauseNs = 50'000;
constexpr int kPauses = 2000;  // 100 ms

constinit UMEMCG_TLS uint32_t t_depth = 0;
}  // namespace

constinit ForkGate g_fork_gate;

void enter_fork_gate() {
  if (t_depth++ == 0) g_fork_gate.enter();
}

void leave_fork_gate() {
  if (--t_depth == 0) g_fork_gate.leave();
}

// A handler may have forked inside: then the child's thread is inside, too.
void reset_fork_gate() { g_fork_gate.reset(t_depth != 0 ? 1 : 0); }

void ForkGate::enter() {
  uint32_t state = state_.load(std::memory_order_relaxed);
  for (int pauses = 0;;) {
    if (state >= kFork && pauses++ < kPauses) {
      sys::sleep_ns(kPauseNs);
      state = state_.load(std::memory_order_relaxed);
    } else if (state_.compare_exchange_weak(state, state + 1,
                                            std::memory_order_acquire,
                                            std::memory_order_relaxed)) {
      return;
    }
  }
}

void ForkGate::close() {
  uint32_t state = state_.fetch_add(kFork, std::memory_order_acquire) + kFork;
  for (int i = 0; i < kPauses && state % kFork != 0; ++i) {
    sys::sleep_ns(kPauseNs);
    state = state_.load(std::memory_order_acquire);
  }
}

}  // namespace umemcg
