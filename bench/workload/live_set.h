// A set of live blocks in which random blocks are replaced by ones of random
// size: the steady state of a long-running program.

#ifndef UMEMCG_BENCH_WORKLOAD_LIVE_SET_H_
#define UMEMCG_BENCH_WORKLOAD_LIVE_SET_H_

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "bench/workload/support.h"

namespace umemcg {

// Sizes uniform in [min, max].
struct UniformSizes {
  uint32_t min;
  uint32_t max;

  size_t Draw(Random& random) const {
    return min + random.Below(max - min + 1);
  }
};

// Sizes with each octave from 2^min_log2 up to 2^max_log2 equally likely, and
// uniform within the octave.
struct LogUniformSizes {
  uint32_t min_log2;
  uint32_t max_log2;

  size_t Draw(Random& random) const {
    const size_t octave = size_t{1}
                          << (min_log2 + random.Below(max_log2 - min_log2));
    return octave + (random.Next() & (octave - 1));
  }
};

// One thread uses a LiveSet; nothing is shared.
template <typename Sizes>
class LiveSet {
 public:
  LiveSet(uint32_t blocks, Sizes sizes, uint64_t seed)
      : sizes_(sizes), random_(seed), blocks_(blocks) {
    for (char*& block : blocks_) {
      block = New();
    }
  }

  LiveSet(const LiveSet&) = delete;
  LiveSet& operator=(const LiveSet&) = delete;

  ~LiveSet() {
    for (char* block : blocks_) {
      std::free(block);
    }
  }

  // Frees and allocates one block, `ops` times.
  void Replace(uint64_t ops) {
    const auto count = static_cast<uint32_t>(blocks_.size());
    for (uint64_t i = 0; i < ops; ++i) {
      char*& block = blocks_[random_.Below(count)];
      std::free(block);
      block = New();
    }
  }

 private:
  char* New() {
    const size_t size = sizes_.Draw(random_);
    char* block = Allocate(size);
    Touch(block, size);
    return block;
  }

  const Sizes sizes_;
  Random random_;
  std::vector<char*> blocks_;
};

}  // namespace umemcg

#endif  // UMEMCG_BENCH_WORKLOAD_LIVE_SET_H_
