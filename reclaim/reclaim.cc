#include "reclaim/reclaim.h"

#include "accounting/mem_cgroup.h"
#include "accounting/process.h"
#include "accounting/reclaim_request.h"
#include "accounting/vmpressure.h"
#include "alloc/cached.h"
#include "alloc/collect.h"
#include "alloc/heap.h"
#include "alloc/zombie.h"
#include "base/errno_saver.h"
#include "base/probe.h"
#include "base/sys.h"
#include "reclaim/asked_shrinkers.h"
#include "reclaim/drain.h"
#include "reclaim/scan_control.h"
#include "reclaim/shrinker.h"
#include "stock/current.h"

namespace umemcg {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

// How often the files of other processes' locks are looked at.
constexpr uint64_t kReapPauseMs = 20;
// How often all pages are looked through for the allocator's own records.
constexpr uint64_t kRecordsPauseMs = 100;
// For answers of the process's other threads, and of other processes: those
// that run give one in a fraction of that.
constexpr uint64_t kWaitForThreadsNs = 2'000'000;
constexpr uint64_t kWaitForProcessesNs = 10'000'000;

constinit std::atomic<uint64_t> last_reap_ms{0};
constinit std::atomic<uint64_t> last_records_ms{0};

// True for one thread, once per `pause`.
bool due_again(std::atomic<uint64_t>& last_ms, uint64_t pause) {
  uint64_t now = sys::coarse_ms();
  uint64_t last = last_ms.load(kRelaxed);
  return now - last >= pause &&
         last_ms.compare_exchange_strong(last, now, kRelaxed);
}

bool has_cached(const Account& account) {
  return account.cached_head.load(kRelaxed) != 0;
}

int64_t cached_size(Account& account) {
  return account.cached_pages.load(kRelaxed);
}

int64_t shrink_cached(Account& account, int64_t pages) {
  return purge_cached(account, pages, PurgeReason::kReclaim);
}

constexpr Spread spread_cached(Source source) {
  return {source, has_cached, cached_size, shrink_cached};
}

// What a shrinker frees is free in some heap, then cached, then given back: all
// of that counts here, whoever's doing it was.
int64_t shrink_by_callback(Account& account, int64_t pages) {
  const int64_t before = account.ledger->pages.load(kRelaxed);
  run_shrinkers(account, pages);
  collect_thread();
  sort_misplaced();
  const int64_t purged = purge_cached(account, pages, PurgeReason::kReclaim);
  const int64_t fell = before - account.ledger->pages.load(kRelaxed);
  return fell > purged ? fell : purged;
}

constexpr Spread kShrinkerSpread = {Source::kShrinkers, has_shrinkers,
                                    count_shrinkable, shrink_by_callback};

// Adds what a source took to the group's counts.
class SourceTimer {
 public:
  SourceTimer(const ScanControl& sc, Source source)
      : sc_(sc),
        index_(static_cast<int>(source)),
        scanned_(sc.sum->scanned[index_]),
        reclaimed_(sc.sum->pages[index_]),
        since_(sys::monotonic_ns()) {}
  ~SourceTimer() {
    SourceCounts& counts = g_segment.group(sc_.root)->sources[index_];
    auto add = [](std::atomic<uint64_t>& count, int64_t by) {
      if (by > 0) count.fetch_add(static_cast<uint64_t>(by), kRelaxed);
    };
    add(counts.scanned, sc_.sum->scanned[index_] - scanned_);
    add(counts.reclaimed, sc_.sum->pages[index_] - reclaimed_);
    counts.ns.fetch_add(sys::monotonic_ns() - since_, kRelaxed);
  }
  SourceTimer(const SourceTimer&) = delete;
  SourceTimer& operator=(const SourceTimer&) = delete;

 private:
  const ScanControl& sc_;
  int index_;
  int64_t scanned_;
  int64_t reclaimed_;
  uint64_t since_;
};

void add(ScanControl& sc, Source source, int64_t pages) {
  if (pages <= 0) return;
  sc.sum->scanned[static_cast<int>(source)] += pages;
  (*sc.sum)[source] += pages;
  sc.reclaimed += pages;
}

void from_cached(ScanControl& sc, Source source) {
  SourceTimer timer(sc, source);
  begin_purges();
  shrink_spread(sc, spread_cached(source));
}

// How long others are waited for this time.
uint64_t patience(const ScanControl& sc, uint64_t most) {
  const uint64_t now = sys::monotonic_ns();
  if (now >= sc.wait_until_ns) return 0;
  const uint64_t left = sc.wait_until_ns - now;
  return left < most ? left : most;
}

// Free blocks become cached pages.
void from_heaps(ScanControl& sc) {
  SourceTimer timer(sc, Source::kHeap);
  collect_thread();
  shrink_spread(sc, spread_cached(Source::kHeap));
}

void from_threads(ScanControl& sc) {
  SourceTimer timer(sc, Source::kThreads);
  ask_threads_to_collect(sc.root, patience(sc, kWaitForThreadsNs));
  shrink_spread(sc, spread_cached(Source::kThreads));
}

void from_stock(ScanControl& sc) {
  SourceTimer timer(sc, Source::kStock);
  add(sc, Source::kStock, drain_stocks(sc.root, Waiting::kMay));
}

void from_dead(ScanControl& sc) {
  SourceTimer timer(sc, Source::kDead);
  const PageCounter& counter = g_segment.group(sc.root)->memory;
  const int64_t before = counter.usage();
  if (due_again(last_reap_ms, kReapPauseMs) &&
      reap_dead_processes(g_segment) != 0) {
    add(sc, Source::kDead, before - counter.usage());
  }
  if (sc.reclaimed == 0 && due_again(last_records_ms, kRecordsPauseMs) &&
      give_back_records()) {
    add(sc, Source::kHeap, before - counter.usage());
  }
}

void from_processes(ScanControl& sc) {
  if (g_segment.is_private()) return;
  SourceTimer timer(sc, Source::kProcesses);
  add(sc, Source::kProcesses,
      request_reclaim(g_segment, sc.root, sc.left(),
                      patience(sc, kWaitForProcessesNs)));
}

void from_shrinkers(ScanControl& sc) {
  if (!any_shrinkers()) return;
  SourceTimer timer(sc, Source::kShrinkers);
  const int64_t before = sc.reclaimed;
  shrink_over_soft_limit(sc, kShrinkerSpread);
  if (!sc.done()) shrink_spread(sc, kShrinkerSpread);
  // What was allocated by another thread is free when that has collected.
  if (!sc.done() && sc.reclaimed == before) {
    ask_threads_to_collect(sc.root, patience(sc, kWaitForThreadsNs));
  }
  if (!sc.done()) shrink_spread(sc, spread_cached(Source::kShrinkers));
}

// One round over all sources, cheapest first.
void shrink_all(ScanControl& sc) {
  const bool alone = sc.reason == ReclaimReason::kRequest;
  {
    SourceTimer timer(sc, Source::kCached);
    shrink_over_soft_limit(sc, spread_cached(Source::kCached));
  }
  if (!sc.done()) from_cached(sc, Source::kCached);
  if (!sc.done()) from_heaps(sc);
  if (!sc.done()) from_threads(sc);
  // A charge drains by itself, once, when it has seen what this got.
  if (!sc.done() && !alone && sc.reason != ReclaimReason::kCharge) {
    from_stock(sc);
  }
  if (!sc.done() && !alone) from_dead(sc);
  if (!sc.done() && !alone) from_processes(sc);
  if (!sc.done()) from_shrinkers(sc);
}

// Over `low` only if there is nothing else. The pages.
int64_t shrink_twice(ScanControl& sc) {
  AskedShrinkers::begin_pass();
  shrink_all(sc);
  if (sc.reclaimed == 0 && sc.low_skipped) {
    sc.over_low = true;
    shrink_all(sc);
  }
  return sc.reclaimed;
}

// Nothing came of it down to the last priority.
void tell_of_failure(const ScanControl& sc) {
  for (int priority = kCriticalPriority; priority >= 0; --priority) {
    vmpressure_prio(g_segment, sc.root, priority);
  }
}

// In reclaim: what is charged meanwhile does not reclaim again.
class ReclaimingScope {
 public:
  ReclaimingScope() { t_context.reclaiming = true; }
  ~ReclaimingScope() { t_context.reclaiming = false; }
  ReclaimingScope(const ReclaimingScope&) = delete;
  ReclaimingScope& operator=(const ReclaimingScope&) = delete;
};

}  // namespace

int64_t try_to_free_pages(uint32_t group, int64_t pages, ReclaimReason reason,
                          Reclaimed* sum, uint64_t wait_until_ns) {
  if (t_context.reclaiming || g_segment.group(group) == nullptr) return 0;
  ErrnoSaver saver;
  ReclaimingScope scope;
  Reclaimed own;
  const int64_t goal = pages > kReclaimBatch ? pages : kReclaimBatch;
  ScanControl sc{group,        group, goal, reason, sum != nullptr ? sum : &own,
                 wait_until_ns};
  UMEMCG_PROBE3(reclaim_begin, group, goal, static_cast<int>(reason));
  AskedShrinkers::within([&] { return shrink_twice(sc); });
  if (sc.reclaimed == 0 && reason != ReclaimReason::kProactive &&
      reason != ReclaimReason::kRequest) {
    tell_of_failure(sc);
  }
  UMEMCG_PROBE2(reclaim_end, group, sc.reclaimed);
  return sc.reclaimed;
}

}  // namespace umemcg
