#include "base/lock.h"

namespace umemcg {

void Lock::lock_slow() {
  for (int spin = 0; spin < 100; ++spin) {
    if (try_lock()) return;
  }
  // From here on the word says kContended, so that unlock() wakes a waiter.
  // acquire: pairs with unlock(). The time-out only repeats the look.
  while (word_.exchange(kContended, std::memory_order_acquire) != kFree) {
    sys::futex_wait(word(), kContended, 100'000'000);
  }
}

bool Lock::lock_within(uint32_t wait_ms) {
  if (try_lock()) return true;
  const uint64_t deadline = sys::monotonic_ns() + wait_ms * 1'000'000ull;
  for (int round = 0; !try_lock(); ++round) {
    if (sys::monotonic_ns() >= deadline) return false;
    sys::pause(round);
  }
  return true;
}

}  // namespace umemcg
