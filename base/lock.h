// A futex lock for a process's own cold paths: no malloc, no cancellation
// point, usable before any constructor. The child of a fork resets it (the
// holder may be a thread that does not exist there).
#pragma once

#include <atomic>
#include <cstdint>

#include "base/sys.h"

namespace umemcg {

class Lock {
 public:
  constexpr Lock() = default;

  // acquire on success: pairs with unlock().
  bool try_lock() {
    uint32_t free = kFree;
    return word_.compare_exchange_strong(free, kHeld, std::memory_order_acquire,
                                         std::memory_order_relaxed);
  }
  void lock() {
    if (!try_lock()) lock_slow();
  }
  // False if it could not be had within `wait_ms`.
  bool lock_within(uint32_t wait_ms);
  // release: pairs with try_lock() and lock_slow().
  void unlock() {
    if (word_.exchange(kFree, std::memory_order_release) == kContended) {
      sys::futex_wake(word(), 1);
    }
  }
  // REQUIRES: no other thread of the process runs.
  void reset() { word_.store(kFree, std::memory_order_relaxed); }

 private:
  enum : uint32_t { kFree = 0, kHeld = 1, kContended = 2 };

  uint32_t* word() { return reinterpret_cast<uint32_t*>(&word_); }
  void lock_slow();

  std::atomic<uint32_t> word_{kFree};
};

class LockGuard {
 public:
  explicit LockGuard(Lock& lock) : lock_(lock) { lock_.lock(); }
  ~LockGuard() { lock_.unlock(); }
  LockGuard(const LockGuard&) = delete;
  LockGuard& operator=(const LockGuard&) = delete;

 private:
  Lock& lock_;
};

}  // namespace umemcg
