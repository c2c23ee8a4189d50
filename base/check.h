// Three levels of assertion, all usable inside malloc:
//   UMEMCG_CHECK   always on; a broken invariant of our own ends the process
//   UMEMCG_DCHECK  the same in debug builds, nothing in release builds
//   UMEMCG_WARN_ONCE  accounting that had to be repaired: one line, go on
#pragma once

#include <atomic>

#include "base/attributes.h"

namespace umemcg {

[[noreturn]] UMEMCG_COLD void check_failed(const char* condition,
                                           const char* file, int line);
UMEMCG_COLD void warn(const char* message);

// True for the first caller only. relaxed: nothing else hangs on it.
inline bool first_time(std::atomic<bool>& done) {
  return !done.load(std::memory_order_relaxed) &&
         !done.exchange(true, std::memory_order_relaxed);
}

}  // namespace umemcg

#define UMEMCG_CHECK(condition) \
  (UMEMCG_LIKELY(condition)     \
       ? void(0)                \
       : ::umemcg::check_failed(#condition, __FILE__, __LINE__))

#ifdef NDEBUG
#define UMEMCG_DCHECK(condition) void(sizeof(!(condition)))
#else
#define UMEMCG_DCHECK(condition) UMEMCG_CHECK(condition)
#endif

#define UMEMCG_WARN_ONCE(message)                                     \
  do {                                                                \
    static constinit std::atomic<bool> umemcg_warned{false};          \
    if (::umemcg::first_time(umemcg_warned)) ::umemcg::warn(message); \
  } while (0)
