// Keeps forks away from threads that begin or end: mimalloc's own set-up and
// clean-up of a thread take locks that a child would inherit held
// (tests/mimalloc_contract). Threads pass in and out; a fork closes the gate,
// waits for those inside, and opens it again on both sides. Both wait at most
// 100 ms: a program's own fork handlers may join, or wait for, such a thread.
#pragma once

#include <atomic>
#include <cstdint>

namespace umemcg {

class ForkGate {
 public:
  // acquire, and release in leave(): what a thread did inside is seen by the
  // fork that waited for it.
  void enter();
  void leave() { state_.fetch_sub(1, std::memory_order_release); }

  void close();
  void open() { state_.fetch_sub(kFork, std::memory_order_release); }

  // REQUIRES: no other thread runs (the child).
  void reset() { state_.store(0, std::memory_order_relaxed); }

 private:
  // Threads inside in the low half, forks under way in the high one.
  static constexpr uint32_t kFork = 1u << 16;

  std::atomic<uint32_t> state_{0};
};

}  // namespace umemcg
