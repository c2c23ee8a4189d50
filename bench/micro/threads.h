// Thread counts of the micro benchmarks, and their figure per page. Figures are
// CPU time (the CPU column), which other programs on the machine disturb least.
#pragma once

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdint>
#include <thread>

namespace umemcg {

// 1, 2, 4, ... up to one a processor (two at least).
inline void EachThreadCount(benchmark::internal::Benchmark* benchmark) {
  const unsigned processors = std::thread::hardware_concurrency();
  benchmark->ThreadRange(1, static_cast<int>(std::max(processors, 2U)));
}

// Prints CPU time per page.
inline void ReportPages(benchmark::State& state, int64_t pages_each) {
  using benchmark::Counter;
  state.counters["s/page"] =
      Counter(static_cast<double>(state.iterations() * pages_each),
              Counter::kIsRate | Counter::kInvert);
}

}  // namespace umemcg
