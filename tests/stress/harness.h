// What the stress tests share: how long they run, worker threads that can be
// stopped all at once to look at the world, and pages that are committed and
// decommitted as mimalloc would, with something in them.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "accounting/account.h"
#include "tests/unit/alloc/range_support.h"

namespace umemcg {

using Random = std::minstd_rand;

inline uint32_t below(Random& random, uint32_t bound) {
  return static_cast<uint32_t>(random()) % bound;
}

// UMEMCG_STRESS_SECONDS, or `seconds`.
double stress_seconds(double seconds);

// Threads that call `step` over and over until they are told to stop.
class Crew {
 public:
  using Step = std::function<void(int worker, Random& random)>;

  Crew(int workers, Step step);
  ~Crew();
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;

  // Calls `look` while all stand still, between two steps.
  void stand_still(const std::function<void()>& look);
  // Ends them; their stocks are given back.
  void stop();

 private:
  void work(int worker, const Step& step);
  void rest();

  std::atomic<bool> stop_{false};
  std::atomic<bool> pause_{false};
  std::atomic<int> resting_{0};
  std::vector<std::thread> threads_;
};

// The world's accounts in the test, and how many pages the threads hold of
// each: counted before they can be charged to another, and after they were
// charged, so it never exceeds what is handed out.
struct Tenant {
  Account* account;
  Tenant* parent;
  std::atomic<int64_t> held{0};

  void hold(int64_t pages);
};

// A run of slices that one thread at a time works on, as mimalloc's own claims
// see to. All of its pages in use are one tenant's.
class Extent {
 public:
  static constexpr unsigned kSlices = 4;
  static constexpr unsigned kPages = kSlices * kSlicePages;
  // Something is written into every so many pages: a fault takes its time.
  static constexpr unsigned kTouched = 4;

  Extent(const TestRange& range, size_t first_page)
      : range_(range), first_(first_page) {}

  bool try_lock() { return !busy_.exchange(true, std::memory_order_acquire); }
  void unlock() { busy_.store(false, std::memory_order_release); }

  // REQUIRES: locked, of all below.
  bool empty() const { return live_ == 0; }
  Tenant* tenant() const { return tenant_; }
  // Commits [page, page + count) for the tenant and writes into it; false if
  // it is refused, twice where `reclaim` says to try the slow half.
  bool take(Tenant& tenant, unsigned page, unsigned count, bool reclaim);
  // Looks at what is in the pages, and decommits them.
  void give(unsigned page, unsigned count);

 private:
  bool commit(unsigned page, unsigned count, bool reclaim, bool* is_zero);
  void check_and_fill(unsigned page, unsigned count, bool is_zero);
  uint64_t* word_of(unsigned page) const;
  uint64_t pattern(unsigned page) const;

  const TestRange& range_;
  const size_t first_;
  std::atomic<bool> busy_{false};
  uint64_t live_ = 0;  // a bit for each page
  Tenant* tenant_ = nullptr;
};

// Whether data may go from one tenant to another: when the system calls fail.
extern std::atomic<bool> g_contents_may_leak;

}  // namespace umemcg
