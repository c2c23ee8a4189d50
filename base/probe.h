// Static probes of user space (USDT): a no-op in the code and a note in the
// file, for perf, bpftrace and SystemTap:
//
//   bpftrace -e 'usdt:libumemcg.so:umemcg:charge_refused { ... }'
//
// None lies on the way of a malloc that is not charged. Built without
// <sys/sdt.h> there are none.
//
//   charge_refused  group whose limit it was, group that asked, pages
//   reclaim_begin   group, pages wanted, reason (ReclaimReason)
//   reclaim_end     group, pages that came back
//   drain           group, pages that came back
//   oom             group, pages wanted, policy
//   high_throttle   group, pages owed, nanoseconds of sleep
#pragma once

#if __has_include(<sys/sdt.h>)
#include <sys/sdt.h>
#define UMEMCG_PROBE2(name, a, b) DTRACE_PROBE2(umemcg, name, a, b)
#define UMEMCG_PROBE3(name, a, b, c) DTRACE_PROBE3(umemcg, name, a, b, c)
#else
#define UMEMCG_PROBE2(name, a, b) static_cast<void>((a, b))
#define UMEMCG_PROBE3(name, a, b, c) static_cast<void>((a, b, c))
#endif
