// Blocks that are big enough to reach the arena or the kernel, and the growth
// of one block through every size.

#include "bench/workload/cases.h"
#include "bench/workload/support.h"

namespace umemcg {
namespace {

constexpr size_t kGrowFrom = 16;
constexpr size_t kGrowTo = 16 * kMiB;

// The next step of a vector that doubles: touches what the step has added.
char* Grow(char* block, size_t from, size_t to) {
  void* grown = std::realloc(block, to);
  if (grown == nullptr) [[unlikely]] {
    DieOutOfMemory(to);
  }
  char* bytes = static_cast<char*>(grown);
  Touch(bytes, to, from);
  return bytes;
}

}  // namespace

Result RunLarge(uint64_t ops) {
  const uint32_t steps = 8 * kMiB / kPage;
  const uint32_t first = 256 * kKiB / kPage;
  Random random(4);
  const Stamp begin = Stamp::Now();
  for (uint64_t i = 0; i < ops; ++i) {
    const size_t size = (first + random.Below(steps - first + 1)) * kPage;
    char* block = Allocate(size);
    Touch(block, size);
    std::free(block);
  }
  return Since(begin, ops);
}

Result RunLargeUntouched(uint64_t ops) {
  const Stamp begin = Stamp::Now();
  for (uint64_t i = 0; i < ops; ++i) {
    std::free(Allocate(4 * kMiB));
  }
  return Since(begin, ops);
}

Result RunReallocGrow(uint64_t ops) {
  uint64_t done = 0;
  const Stamp begin = Stamp::Now();
  while (done < ops) {
    char* block = Allocate(kGrowFrom);
    Touch(block, kGrowFrom);
    for (size_t size = kGrowFrom; size < kGrowTo; size *= 2) {
      block = Grow(block, size, 2 * size);
      ++done;
    }
    std::free(block);
  }
  return Since(begin, done);
}

}  // namespace umemcg
