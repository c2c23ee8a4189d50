#include "reclaim/reclaim.h"

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "accounting/event.h"
#include "accounting/mem_cgroup.h"
#include "accounting/process.h"
#include "alloc/cached.h"
#include "alloc/heap.h"
#include "base/check.h"
#include "base/sys.h"
#include "base/text.h"
#include "stock/charge.h"
#include "stock/current.h"

namespace umemcg {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
// As MAX_RECLAIM_RETRIES.
constexpr int kFruitlessRounds = 16;
// Rounds in which somebody won something, but not for this request, end too: a
// large one beside many small ones must not go on for ever.
constexpr int kMostRounds = 128;
// How long a request waits, in all, for others that are in the middle of
// giving pages back: the system may have put them to sleep.
constexpr uint64_t kWaitForOthersNs = 100'000'000;
// The most that the reserve serves at once: one small page of mimalloc.
constexpr uint32_t kSmallRequest = 16;
// How long after a refusal the reserve is open.
constexpr uint64_t kReserveWindowMs = 2000;
// Requests of more than 8 pages raise no oom event, as in the kernel (order
// above 3): their callers are expected to fall back.
constexpr uint32_t kCostlyRequest = 8;
// How often the files of other processes' locks are looked at.
constexpr uint64_t kReapPauseMs = 20;

constinit ReclaimSettings settings;
constinit std::atomic<uint64_t> last_reap_ms{0};
constinit std::atomic<bool> refusal_reported{false};

struct Won {
  int64_t purged = 0;
  int64_t drained = 0;
  int64_t reaped = 0;
  int64_t total() const { return purged + drained + reaped; }
};

uint32_t reap_now_and_then() {
  uint64_t now = sys::coarse_ms();
  uint64_t last = last_reap_ms.load(kRelaxed);
  if (now - last < kReapPauseMs ||
      !last_reap_ms.compare_exchange_strong(last, now, kRelaxed)) {
    return 0;
  }
  return reap_dead_processes(g_segment);
}

// One round of reclaim in the subtree of `group`, cheapest source first.
// Collecting turns free blocks into cached pages, so it comes before a second
// purge.
Won reclaim_round(uint32_t group, int64_t goal) {
  Won won;
  won.purged = purge_cached_subtree(group, goal, PurgeReason::kReclaim);
  if (won.purged < goal) {
    collect_thread();
    won.purged += purge_cached_subtree(group, goal, PurgeReason::kReclaim);
  }
  if (won.purged < goal) won.drained = drain_all_stock(g_segment, group);
  if (won.total() < goal) won.reaped = reap_now_and_then();
  return won;
}

// Perhaps somebody frees something: let them.
void wait_a_little(int round) {
  if (round % 4 == 3) {
    sys::sleep_ns(20'000);
  } else {
    sys::yield();
  }
}

bool reclaim_and_charge(ChargeRecord& record, Won* won) {
  uint32_t group = g_segment.group_of(record.failed);
  if (group == kNone) return false;
  const int64_t goal =
      record.pages > kChargeBatch ? record.pages : kChargeBatch;
  const uint64_t deadline = sys::monotonic_ns() + kWaitForOthersNs;
  int fruitless = 0;
  for (int rounds = 0; fruitless < kFruitlessRounds && rounds < kMostRounds;
       ++rounds) {
    Won round = reclaim_round(group, goal);
    won->purged += round.purged;
    won->drained += round.drained;
    won->reaped += round.reaped;
    PageCounter* failed = nullptr;
    if (account_try_charge(*record.account, record.pages, &failed,
                           PageCounter::Limit::kMax, false)) {
      return true;
    }
    record.failed = failed;
    group = g_segment.group_of(failed);
    if (group == kNone || record.pages > failed->max()) return false;
    if (round.total() != 0) continue;
    if (!wait_for_others(deadline)) wait_a_little(fruitless++);
  }
  return false;
}

// After a refusal a program needs some memory to unwind and to say what
// happened: small requests may go over max for a while. The reserve is refilled
// first, since nothing is charged within max until usage is back below it.
bool charge_reserve(ChargeRecord& record, Group& group) {
  if (record.pages > kSmallRequest) return false;
  uint64_t refused = group.refused_ms.load(kRelaxed);
  if (refused == 0 || sys::coarse_ms() - refused > kReserveWindowMs) {
    return false;
  }
  PageCounter* failed;
  return account_try_charge(*record.account, record.pages, &failed,
                            PageCounter::Limit::kMaxAndReserve, false);
}

void report_refusal(const ChargeRecord& record, uint32_t group,
                    const Won& won) {
  if (!settings.report_refusal || !first_time(refusal_reported)) return;
  const PageCounter& counter = g_segment.group(group)->memory;
  int64_t stats[kStats];
  read_stats(g_segment, group, true, stats);
  auto bytes = [](int64_t pages) {
    return static_cast<uint64_t>(pages > 0 ? pages : 0) << kPageShift;
  };
  Line line;
  line.text("out of memory in ");
  group_path(g_segment, group, line);
  line.text(": limit ").bytes(bytes(counter.max()));
  line.text(", usage ").bytes(bytes(counter.usage()));
  line.text(", cached ").bytes(bytes(stats[static_cast<int>(Stat::kCached)]));
  line.text("; a request of ").bytes(bytes(record.pages));
  line.text(" failed after reclaiming ").bytes(bytes(won.purged + won.drained));
  line.text(" (later refusals are counted, not printed)");
  print_line(line);
}

void count_failure(uint32_t group) {
  memcg_memory_event(g_segment, group, Event::kMax);
  g_segment.group(group)->memory.count_failure();
}

void out_of_memory(const ChargeRecord& record, uint32_t group, const Won& won) {
  g_segment.group(group)->refused_ms.store(sys::coarse_ms(), kRelaxed);
  if (record.pages <= kCostlyRequest) {
    memcg_memory_event(g_segment, group, Event::kOom);
  }
  report_refusal(record, group, won);
  if (settings.oom == OomPolicy::kKill) {
    memcg_memory_event(g_segment, record.account->group, Event::kOomKill);
    ::syscall(SYS_kill, sys::process_id(), SIGKILL);
  }
}

// Charged pages wait in a reservation; mimalloc's second try takes them.
void charge_slow() {
  ChargeRecord& record = t_charge_record;
  record.armed = false;
  drop_reservation();
  const uint32_t group = g_segment.group_of(record.failed);
  if (group == kNone) return;
  count_failure(group);
  Won won;
  bool charged = reclaim_and_charge(record, &won);
  if (!charged) charged = charge_reserve(record, *g_segment.group(group));
  if (charged) {
    reserve_pages(*record.account, record.pages);
  } else {
    out_of_memory(record, group, won);
  }
  // The second try may still succeed; if not, the error callback says ENOMEM.
  errno = record.saved_errno;
}

}  // namespace

void install_reclaim(const ReclaimSettings& chosen) {
  settings = chosen;
  g_charge_slow_hook.install(charge_slow);
}

}  // namespace umemcg
