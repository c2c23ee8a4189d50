// Google Benchmark's main, with --smoke for a run that only shows that all of
// it works, and the allocator among what is printed first.

#include <benchmark/benchmark.h>

#include <cstring>
#include <vector>

#include "bench/workload/identify.h"

int main(int argc, char** argv) {
  static char smoke[] = "--benchmark_min_time=0.01";
  std::vector<char*> arguments(argv, argv + argc);
  for (char*& argument : arguments) {
    if (std::strcmp(argument, "--smoke") == 0) argument = smoke;
  }
  argc = static_cast<int>(arguments.size());
  arguments.push_back(nullptr);
  benchmark::Initialize(&argc, arguments.data());
  if (benchmark::ReportUnrecognizedArguments(argc, arguments.data())) return 1;
  benchmark::AddCustomContext("allocator", umemcg::Identify().allocator);
#ifdef NDEBUG
  benchmark::AddCustomContext("umemcg_build", "optimised");
#else
  benchmark::AddCustomContext("umemcg_build", "debug: figures mean nothing");
#endif
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
