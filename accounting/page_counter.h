// A hierarchical counter of pages with limits, as mm/page_counter.c in Linux.
//
// usage counts what is charged to this counter and to everything below it. A
// charge walks from a counter to the root; a try_charge takes all levels or
// none. All functions may be called from any thread of any process that maps
// the counter; none allocates, blocks or changes errno. Units are pages.
//
// The layout is part of the shared segment: the word that every charge writes
// is alone in its pair of cache lines, what protection writes is in the next,
// and what is read only, or written by people, in the last.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/attributes.h"
#include "base/units.h"

namespace umemcg {

class PageCounter {
 public:
  // Whether charges may use the emergency reserve on top of max.
  enum class Limit { kMax, kMaxAndReserve };

  // No deeper tree is looked through.
  static constexpr int kMostLevels = 64;

  PageCounter() = default;
  PageCounter(const PageCounter&) = delete;
  PageCounter& operator=(const PageCounter&) = delete;

  // REQUIRES: no other thread knows this counter yet. `parent` may be null;
  // it must lie in the same mapping and outlive this counter. `protection`
  // says whether charges keep min_usage and low_usage up to date.
  void init(PageCounter* parent, bool protection);

  // The counter above, or null. The link is an offset, and one that leads out
  // of the window (see set_link_window) reads as null: a damaged segment
  // makes the accounting wrong, never the program crash.
  PageCounter* parent() const;

  int64_t usage() const { return usage_.load(std::memory_order_relaxed); }
  int64_t max() const { return max_.load(std::memory_order_relaxed); }
  int64_t min() const { return min_.load(std::memory_order_relaxed); }
  int64_t low() const { return low_.load(std::memory_order_relaxed); }
  int64_t reserve() const { return reserve_.load(std::memory_order_relaxed); }
  int64_t watermark() const {
    const int64_t ever = watermark_.load(std::memory_order_relaxed);
    return ever > local_watermark() ? ever : local_watermark();
  }
  // The peak since somebody last began anew (peak.h).
  int64_t local_watermark() const {
    // acquire: pairs with reset_local_watermark().
    return local_watermark_.load(std::memory_order_acquire);
  }
  uint64_t failcnt() const { return failcnt_.load(std::memory_order_relaxed); }
  int64_t min_usage() const {
    return min_usage_.load(std::memory_order_relaxed);
  }
  int64_t low_usage() const {
    return low_usage_.load(std::memory_order_relaxed);
  }
  int64_t children_min_usage() const {
    return children_min_usage_.load(std::memory_order_relaxed);
  }
  int64_t children_low_usage() const {
    return children_low_usage_.load(std::memory_order_relaxed);
  }
  int64_t emin() const { return emin_.load(std::memory_order_relaxed); }
  int64_t elow() const { return elow_.load(std::memory_order_relaxed); }

  // Pages that still fit under max here (ancestors not asked); 0 when over.
  int64_t margin() const {
    int64_t left = max() - usage();
    return left > 0 ? left : 0;
  }

  // Charges `pages` here and above whatever the limits say.
  void charge(int64_t pages);

  // Charges `pages` here and above if that exceeds no limit; else charges
  // nothing, stores the counter that refused in *failed, counts its failcnt
  // (unless the caller asks again for the same allocation and says so) and
  // returns false.
  //
  // It refuses only if a pass that never stores a value above the limit found
  // no room, so a failing charge does not make one that fits fail. Bound on
  // the error of a concurrent reader: see docs/design.md, "Bounds".
  bool try_charge(int64_t pages, PageCounter** failed,
                  Limit limit = Limit::kMax, bool count_failure = true);

  // Takes back `pages` here and above.
  void uncharge(int64_t pages);

  // Takes back `pages` here alone. A usage below 0 means that something was
  // uncharged twice: it is set to 0, and said once.
  void cancel(int64_t pages);

  // Sets the limit; 0, or -EBUSY with the old limit kept when usage is above
  // it. A charge that raced either saw the new limit or is seen here.
  // The caller serialises changes of one counter's limit.
  int set_max(int64_t pages);
  // Sets the limit whatever the usage (memory.max is set before reclaiming).
  void store_max(int64_t pages);
  void set_min(int64_t pages);
  void set_low(int64_t pages);
  // Pages that Limit::kMaxAndReserve allows on top of max.
  void set_reserve(int64_t pages);
  // Both watermarks begin anew.
  void reset_watermark();
  // The local one does; what it was.
  int64_t reset_local_watermark();
  void reset_failcnt() { failcnt_.store(0, std::memory_order_relaxed); }
  // For a recount: adds to this level alone, and to its children's sums.
  void correct(int64_t usage_by, int64_t children_min_by,
               int64_t children_low_by);
  void count_failure() { failcnt_.fetch_add(1, std::memory_order_relaxed); }

  // Computes emin and elow of this counter for reclaim that targets `root`,
  // from the parent's (so a walk goes top-down). The kernel's
  // page_counter_calculate_protection, overflow included; `recursive` is its
  // memory_recursiveprot. REQUIRES: one walk of a subtree at a time.
  void calculate_protection(const PageCounter* root, bool recursive);

  // The same for one counter in the subtree of `root`, from the settings and
  // usages on its way down alone: nothing is stored, so any number of walks may
  // go on at once. Nothing is protected at the root itself.
  struct Effective {
    int64_t min = 0;
    int64_t low = 0;
  };
  Effective effective_protection_under(const PageCounter& root,
                                       bool recursive) const;

  // Links of counters outside [low, high) read as null from now on; the
  // default window is everything. For a process that maps one segment.
  static void set_link_window(const void* low, const void* high);

 private:
  int64_t charge_level(int64_t pages, Limit limit);
  int64_t charge_level_exactly(int64_t pages, Limit limit);
  int64_t limit_of(Limit limit) const;
  PageCounter* level_without_room(int64_t pages, Limit limit);
  void raise_watermark(int64_t usage);
  void propagate_protected_usage(int64_t usage);
  void undo(int64_t pages);

  alignas(kCacheSeparation) std::atomic<int64_t> usage_{0};

  alignas(kCacheSeparation) std::atomic<int64_t> min_usage_{0};
  std::atomic<int64_t> low_usage_{0};
  std::atomic<int64_t> children_min_usage_{0};
  std::atomic<int64_t> children_low_usage_{0};
  std::atomic<int64_t> watermark_{0};
  std::atomic<uint64_t> failcnt_{0};
  std::atomic<int64_t> local_watermark_{0};

  alignas(kCacheSeparation) std::atomic<int64_t> max_{kPageCounterMax};
  std::atomic<int64_t> min_{0};
  std::atomic<int64_t> low_{0};
  std::atomic<int64_t> reserve_{0};
  std::atomic<int64_t> emin_{0};
  std::atomic<int64_t> elow_{0};
  std::atomic<int64_t> parent_offset_{0};
  std::atomic<uint32_t> protection_{0};
};

// What a group keeps for those inside it, and none of them claims, goes to all
// of them: memory_recursiveprot. Without it a `low` that was set on a service
// would not protect the groups in it.
inline constexpr bool kRecursiveProtection = true;

static_assert(sizeof(PageCounter) == 3 * kCacheSeparation);

// Parses what a control file takes, as page_counter_memparse: "max" (or what
// `unlimited` says), or a number (decimal, 0x.. or 0.. octal) with at most one
// suffix K M G T P E. Stores pages, rounded down and at most kPageCounterMax;
// 0, or -EINVAL. Bytes beyond 2^64 wrap, as in the kernel up to 6.18.
int page_counter_memparse(const char* text, const char* unlimited,
                          int64_t* pages);

}  // namespace umemcg
