// Where reclaim gets pages from, cheapest first, and what each gave.
#pragma once

#include <atomic>
#include <cstdint>

namespace umemcg {

enum class Source : uint8_t {
  kCached,     // cached pages of this process
  kHeap,       // this thread's heaps, collected
  kThreads,    // heaps of the process's other threads
  kStock,      // what threads had charged ahead
  kDead,       // what dead processes had charged
  kProcesses,  // other processes of the domain
  kShrinkers,  // registered callbacks
};
inline constexpr int kSources = 7;
inline constexpr const char* kSourceNames[kSources] = {
    "cached", "heap", "threads", "stock", "dead", "processes", "shrinkers"};

// Only ever go up; relaxed, nothing is ordered by them. Pages, nanoseconds.
struct SourceCounts {
  std::atomic<uint64_t> scanned;
  std::atomic<uint64_t> reclaimed;
  std::atomic<uint64_t> ns;
};

}  // namespace umemcg
