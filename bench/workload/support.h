// What every case needs: a generator with a fixed seed, a stopwatch, and blocks
// that the optimiser can neither elide nor leave unwritten.
//
// Nothing here allocates, so the allocator under test sees the case's own calls
// and no others.

#ifndef UMEMCG_BENCH_WORKLOAD_SUPPORT_H_
#define UMEMCG_BENCH_WORKLOAD_SUPPORT_H_

#include <time.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>

namespace umemcg {

inline constexpr size_t kKiB = 1024;
inline constexpr size_t kMiB = 1024 * kKiB;
inline constexpr size_t kPage = 4 * kKiB;

// xorshift64*: the same sequence on every machine and under every allocator.
class Random {
 public:
  // REQUIRES: seed != 0.
  explicit Random(uint64_t seed) : state_(seed) {}

  uint32_t Next() {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return static_cast<uint32_t>((state_ * 0x2545F4914F6CDD1DU) >> 32);
  }

  // Uniform in [0, bound).
  uint32_t Below(uint32_t bound) {
    return static_cast<uint32_t>((uint64_t{Next()} * bound) >> 32);
  }

 private:
  uint64_t state_;
};

inline uint64_t ReadClock(clockid_t clock) {
  timespec now;
  clock_gettime(clock, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000U +
         static_cast<uint64_t>(now.tv_nsec);
}

// The two readings that bound a piece of work on one thread. CPU time beside
// wall time tells a slow allocator from a thread that was preempted.
struct Stamp {
  uint64_t wall_ns;
  uint64_t cpu_ns;

  static Stamp Now() {
    return {ReadClock(CLOCK_MONOTONIC), ReadClock(CLOCK_THREAD_CPUTIME_ID)};
  }
};

// Makes the block's address and contents visible to code the compiler cannot
// see: a malloc and free around it cannot be elided, nor a store into it.
inline void Escape(void* block) { asm volatile("" : : "r"(block) : "memory"); }

// Ends the program: a case that cannot have its memory has no result.
[[noreturn, gnu::cold]] void DieOutOfMemory(size_t size);

inline char* Allocate(size_t size) {
  void* block = std::malloc(size);
  if (block == nullptr) [[unlikely]] {
    DieOutOfMemory(size);
  }
  Escape(block);
  return static_cast<char*>(block);
}

// Writes one byte in each page of [from, size), and the last one.
// REQUIRES: from < size.
inline void Touch(char* block, size_t size, size_t from = 0) {
  for (size_t at = from; at < size; at += kPage) {
    block[at] = 1;
  }
  block[size - 1] = 1;
  Escape(block);
}

}  // namespace umemcg

#endif  // UMEMCG_BENCH_WORKLOAD_SUPPORT_H_
