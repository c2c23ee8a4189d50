// Keeps forks away from what mimalloc does under its own locks, which a child
// would inherit held (tests/mimalloc_contract): its set-up and clean-up of a
// thread, making and deleting heaps and theaps. Threads pass in and out; a fork
// closes the gate, waits for those inside, and opens it again on both sides.
// Both wait at most 100 ms: a program's own fork handlers may join, or wait
// for, such a thread.
#pragma once

#include <atomic>
#include <cstdint>

namespace umemcg {

class ForkGate {
 public:
  constexpr ForkGate() = default;
  ForkGate(const ForkGate&) = delete;
  ForkGate& operator=(const ForkGate&) = delete;

  // acquire, and release in leave(): what a thread did inside is seen by the
  // fork that waited for it.
  void enter();
  void leave() { state_.fetch_sub(1, std::memory_order_release); }

  void close();
  void open() { state_.fetch_sub(kFork, std::memory_order_release); }

  // REQUIRES: no other thread runs (the child).
  void reset(uint32_t inside) {
    state_.store(inside, std::memory_order_relaxed);
  }

 private:
  // Threads inside in the low half, forks under way in the high one.
  static constexpr uint32_t kFork = 1u << 16;

  std::atomic<uint32_t> state_{0};
};

extern constinit ForkGate g_fork_gate;

// The calling thread goes in, and out. It may go in again while it is there.
void enter_fork_gate();
void leave_fork_gate();

// In the child of a fork: the other threads are not here.
void reset_fork_gate();

class ForkGateScope {
 public:
  ForkGateScope() { enter_fork_gate(); }
  ~ForkGateScope() { leave_fork_gate(); }
  ForkGateScope(const ForkGateScope&) = delete;
  ForkGateScope& operator=(const ForkGateScope&) = delete;
};

}  // namespace umemcg
