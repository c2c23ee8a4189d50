#include "bench/workload/cases.h"

namespace umemcg {
namespace {

constexpr Case kCases[] = {
    {"pair", 1, 50'000'000, RunPair, "malloc and free of 64 B, bare loop"},
    {"pair_1k", 1, 50'000'000, RunPair1K, "malloc and free of 1 KiB"},
    {"live_set", 1, 6'000'000, RunLiveSet, "100,000 blocks of 16..512 B"},
    {"medium", 1, 1'500'000, RunMedium, "2,000 blocks of 1..64 KiB"},
    {"mixed", 1, 1'000'000, RunMixed, "5,000 blocks of 16 B..256 KiB"},
    {"two_threads", 2, 8'000'000, RunTwoThreads, "a live set for each thread"},
    {"producer_consumer", 2, 3'000'000, RunProducerConsumer,
     "one thread allocates, another frees"},
    {"large", 1, 8'000, RunLarge, "256 KiB..8 MiB, each page touched"},
    {"large_untouched", 1, 500'000, RunLargeUntouched, "4 MiB, untouched"},
    {"realloc_grow", 1, 3'000, RunReallocGrow, "doubling from 16 B to 16 MiB"},
    {"build_teardown", 1, 8'000'000, RunBuildTeardown,
     "a tree of 1,000,000 nodes, built and freed"},
};

}  // namespace

std::span<const Case> AllCases() { return kCases; }

const Case* FindCase(std::string_view name) {
  for (const Case& c : kCases) {
    if (name == c.name) {
      return &c;
    }
  }
  return nullptr;
}

}  // namespace umemcg
