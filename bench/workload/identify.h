// Which allocator is this process running on?
//
// Judged by the shared object that owns the `malloc` the program is bound to,
// not by what was asked for: a preload that failed to load, or that something
// else overrode, shows.

#ifndef UMEMCG_BENCH_WORKLOAD_IDENTIFY_H_
#define UMEMCG_BENCH_WORKLOAD_IDENTIFY_H_

namespace umemcg {

struct Identity {
  // glibc, mimalloc, jemalloc, tcmalloc, umemcg, or unknown (a sanitizer's).
  const char* allocator;
  const char* malloc_object;    // file that malloc comes from
  const char* mimalloc_object;  // file that mi_version comes from, or nullptr
};

// The strings live as long as the process.
Identity Identify();

}  // namespace umemcg

#endif  // UMEMCG_BENCH_WORKLOAD_IDENTIFY_H_
