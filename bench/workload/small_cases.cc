// Bare loops and random live sets, on one thread.

#include "bench/workload/cases.h"
#include "bench/workload/live_set.h"
#include "bench/workload/support.h"

namespace umemcg {
namespace {

template <size_t kSize>
Result RunPairs(uint64_t ops) {
  const Stamp begin = Stamp::Now();
  for (uint64_t i = 0; i < ops; ++i) {
    char* block = Allocate(kSize);
    block[0] = 1;
    Escape(block);
    std::free(block);
  }
  return Since(begin, ops);
}

template <typename Sizes>
Result RunReplace(uint32_t blocks, Sizes sizes, uint64_t seed, uint64_t ops) {
  LiveSet set(blocks, sizes, seed);
  const Stamp begin = Stamp::Now();
  set.Replace(ops);
  return Since(begin, ops);
}

}  // namespace

Result RunPair(uint64_t ops) { return RunPairs<64>(ops); }

Result RunPair1K(uint64_t ops) { return RunPairs<kKiB>(ops); }

Result RunLiveSet(uint64_t ops) {
  return RunReplace(100'000, UniformSizes{16, 512}, 1, ops);
}

Result RunMedium(uint64_t ops) {
  return RunReplace(2'000, UniformSizes{kKiB, 64 * kKiB}, 2, ops);
}

Result RunMixed(uint64_t ops) {
  return RunReplace(5'000, LogUniformSizes{4, 18}, 3, ops);
}

}  // namespace umemcg
