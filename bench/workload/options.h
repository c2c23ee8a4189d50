// The command line of alloc_workload; alloc_workload.cc lists its forms.

#ifndef UMEMCG_BENCH_WORKLOAD_OPTIONS_H_
#define UMEMCG_BENCH_WORKLOAD_OPTIONS_H_

#include <cstdint>

#include "bench/workload/cases.h"

namespace umemcg {

enum class Mode { kCase, kList, kIdentify, kProbe };

struct Options {
  Mode mode = Mode::kCase;
  const Case* to_run = nullptr;  // not null in Mode::kCase
  uint64_t ops = 0;              // 0: the case's own count
  double seconds = 0;            // 0: not given
  uint64_t probe_bytes = 0;
  bool json = false;
};

// Reads a null-terminated vector of arguments, the program's name left out.
// Prints the usage and exits with 2 if they make no sense.
Options ParseOptions(char** arguments);

}  // namespace umemcg

#endif  // UMEMCG_BENCH_WORKLOAD_OPTIONS_H_
