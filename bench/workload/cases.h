// The cases of alloc_workload: one table, one function a case.
//
// A case does its set-up, stamps, does its operations, stamps, and tears down;
// what it returns covers the operations alone. An operation is one malloc with
// its free, except in realloc_grow, where it is one realloc. The seeds are
// fixed: two runs of a case make the same calls in the same order (per thread).

#ifndef UMEMCG_BENCH_WORKLOAD_CASES_H_
#define UMEMCG_BENCH_WORKLOAD_CASES_H_

#include <cstdint>
#include <span>
#include <string_view>

#include "bench/workload/support.h"

namespace umemcg {

struct Result {
  uint64_t ops;      // done; a case may round up what it was asked for
  uint64_t wall_ns;  // from the first thread's start to the last one's end
  uint64_t cpu_ns;   // summed over the threads
};

// What a case's one thread did from `begin` until now.
inline Result Since(Stamp begin, uint64_t ops) {
  const Stamp end = Stamp::Now();
  return {ops, end.wall_ns - begin.wall_ns, end.cpu_ns - begin.cpu_ns};
}

struct Case {
  const char* name;
  int threads;
  uint64_t ops;  // what takes 0.3 to 0.5 s under glibc on a 2.6 GHz core
  Result (*run)(uint64_t ops);
  const char* what;
};

std::span<const Case> AllCases();

// The case of that name, or nullptr.
const Case* FindCase(std::string_view name);

Result RunPair(uint64_t ops);
Result RunPair1K(uint64_t ops);
Result RunLiveSet(uint64_t ops);
Result RunMedium(uint64_t ops);
Result RunMixed(uint64_t ops);
Result RunTwoThreads(uint64_t ops);
Result RunProducerConsumer(uint64_t ops);
Result RunLarge(uint64_t ops);
Result RunLargeUntouched(uint64_t ops);
Result RunReallocGrow(uint64_t ops);
Result RunBuildTeardown(uint64_t ops);

}  // namespace umemcg

#endif  // UMEMCG_BENCH_WORKLOAD_CASES_H_
