// The only compiler macros of the project.
#pragma once

// On the way of every charge: inlined whatever the optimiser thinks.
#define UMEMCG_FAST inline __attribute__((always_inline))
// Off that way: kept out of line and out of the hot text.
#define UMEMCG_COLD __attribute__((noinline, cold))
// A name that libumemcg.so exports; everything else is hidden.
#define UMEMCG_EXPORT __attribute__((visibility("default")))
// Thread-local storage that is reached without a call: the library is loaded
// at program start (LD_PRELOAD or -lumemcg), so static TLS has room for it.
#define UMEMCG_TLS thread_local __attribute__((tls_model("initial-exec")))

#define UMEMCG_LIKELY(x) __builtin_expect(!!(x), 1)
#define UMEMCG_UNLIKELY(x) __builtin_expect(!!(x), 0)

#define UMEMCG_PRINTF(format, first) \
  __attribute__((__format__(__printf__, format, first)))

namespace umemcg {

// Hot words that different threads write lie this far apart: two lines, since
// the hardware fetches lines in adjacent pairs.
inline constexpr unsigned long kCacheSeparation = 128;

}  // namespace umemcg
