#include "shim/fork_gate.h"

#include "base/sys.h"

namespace umemcg {
namespace {
constexpr uint64_t kPauseNs = 50'000;
constexpr int kPauses = 2000;  // 100 ms
}  // namespace

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
