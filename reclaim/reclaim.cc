#include "reclaim/reclaim.h"

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "accounting/event.h"
#include "accounting/gate.h"
#include "accounting/mem_cgroup.h"
#include "accounting/process.h"
#include "alloc/cached.h"
#include "alloc/heap.h"
#include "alloc/zombie.h"
#include "base/check.h"
#include "base/errno_saver.h"
#include "base/sys.h"
#include "base/text.h"
#include "stock/charge.h"
#include "stock/current.h"
#include "stock/obj_stock.h"
#include "stock/press.h"

namespace umemcg {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
// As MAX_RECLAIM_RETRIES.
constexpr int kFruitlessRounds = 16;
// Rounds in which somebody won something, but not for this request, end too: a
// large one beside many small ones must not go on for ever.
constexpr int kMostRounds = 128;
// How long a request waits, in all, for others that are in the middle of
// giving pages back: the system may have put them to sleep. And once more for
// those in the middle of a charge.
constexpr uint64_t kWaitForOthersNs = 100'000'000;
// Last looks that have to agree. One is a proof for a single limit; an attempt
// that fails at a higher one may have filled a lower one for a moment.
constexpr int kLastLooks = 3;
// Of which another counter refused, or that took too long, in all.
constexpr int kMostLooks = 64;
// The most that the reserve serves at once: one small page of mimalloc.
constexpr uint32_t kSmallRequest = 16;
// How long after a refusal the reserve is open.
constexpr uint64_t kReserveWindowMs = 2000;
// Requests of more than 8 pages raise no oom event, as in the kernel (order
// above 3): their callers are expected to fall back.
constexpr uint32_t kCostlyRequest = 8;
// How often the files of other processes' locks are looked at.
constexpr uint64_t kReapPauseMs = 20;
// How often all pages are looked through for the allocator's own records.
constexpr uint64_t kRecordsPauseMs = 100;

constinit ReclaimSettings settings;
constinit std::atomic<uint64_t> last_reap_ms{0};
constinit std::atomic<uint64_t> last_records_ms{0};
constinit std::atomic<bool> refusal_reported{false};

struct Won {
  int64_t purged = 0;
  int64_t drained = 0;
  int64_t reaped = 0;
  int64_t records = 0;
  int64_t total() const { return purged + drained + reaped + records; }
};

// True for one thread, once per `pause`.
bool due_again(std::atomic<uint64_t>& last_ms, uint64_t pause) {
  uint64_t now = sys::coarse_ms();
  uint64_t last = last_ms.load(kRelaxed);
  return now - last >= pause &&
         last_ms.compare_exchange_strong(last, now, kRelaxed);
}

uint32_t reap_now_and_then() {
  const bool due = due_again(last_reap_ms, kReapPauseMs);
  return due ? reap_dead_processes(g_segment) : 0;
}

bool give_back_records_now_and_then() {
  return due_again(last_records_ms, kRecordsPauseMs) && give_back_records();
}

int64_t drain_stocks(uint32_t group) {
  drain_objects(group);
  return drain_all_stock(g_segment, group);
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
  if (won.purged < goal) won.drained = drain_stocks(group);
  if (won.total() < goal) won.reaped = reap_now_and_then();
  if (won.total() == 0) won.records = give_back_records_now_and_then() ? 1 : 0;
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

// The pages are charged to the group: to the kind's counter as well, or not at
// all.
bool charge_kind(ChargeRequest& request) {
  if (part_of(request.kind) == kPlainPart) return true;
  Account& account = *request.account;
  PageCounter* failed = nullptr;
  if (account_try_charge_kind(account, request.kind, request.pages, &failed)) {
    return true;
  }
  if (request.may(kChargeNoFail)) {
    account_charge_kind(account, request.kind, request.pages);
    return true;
  }
  account_uncharge(account, request.pages);
  request.kind_refused = true;
  return false;
}

// Exactly, without the stock. One section: pages that the kind's counter is
// about to refuse are not taken for used by a last look.
bool charge_exactly(ChargeRequest& request) {
  ChargeSection section;
  return account_try_charge(*request.account, request.pages, &request.failed,
                            PageCounter::Limit::kMax, false) &&
         charge_kind(request);
}

bool charge_few(ChargeRequest& request) {
  return try_charge(*request.account, static_cast<uint32_t>(request.pages),
                    &request.failed);
}

// Whether it is known whose limit refused, and that is not below the request.
bool may_fit(const ChargeRequest& request, uint32_t* group) {
  if (request.kind_refused) return false;
  *group = g_segment.group_of(request.failed);
  return *group != kNone && request.pages <= request.failed->max();
}

bool reclaim_and_charge(ChargeRequest& request, Won* won) {
  uint32_t group = g_segment.group_of(request.failed);
  const int64_t goal =
      request.pages > kChargeBatch ? request.pages : kChargeBatch;
  const uint64_t deadline = sys::monotonic_ns() + kWaitForOthersNs;
  const int most_rounds = request.may(kChargeNoRetry) ? 1 : kMostRounds;
  int fruitless = 0;
  for (int rounds = 0; fruitless < kFruitlessRounds && rounds < most_rounds;
       ++rounds) {
    Won round = reclaim_round(group, goal);
    won->purged += round.purged;
    won->drained += round.drained;
    won->reaped += round.reaped;
    if (charge_exactly(request)) return true;
    if (!may_fit(request, &group)) return false;
    if (round.total() != 0) continue;
    if (!wait_for_others(deadline)) wait_a_little(fruitless++);
  }
  return false;
}

// Until the mark has been seen clear. seq_cst: pairs with ChargeSection.
void wait_for_mark(const std::atomic<uint32_t>& mark, uint64_t deadline) {
  for (int round = 0; mark.load(std::memory_order_seq_cst) != 0; ++round) {
    if (sys::monotonic_ns() >= deadline) return;
    sys::pause(round);
  }
}

// Whoever was in the middle of a charge, or of giving pages back, has ended it.
void wait_for_chargers(uint64_t deadline) {
  for (uint32_t i = 0; i < g_segment.lines_used(); ++i) {
    const StockLine& line = *g_segment.line(i);
    if (line.owner.load(kRelaxed) != 0) wait_for_mark(line.busy, deadline);
  }
  for (uint32_t i = 0; i < g_segment.processes_used(); ++i) {
    wait_for_mark(g_segment.process(i)->busy, deadline);
  }
}

// Whether more is missing than can be charged ahead: then it does not matter
// what is.
bool beyond_stocks(const ChargeRequest& request) {
  const int64_t ahead =
      int64_t{g_segment.lines_used()} * (kStockSlots + 1) * kChargeBatch;
  return request.pages - request.failed->margin() > ahead;
}

// Charges while nothing is charged ahead in the subtree: so it fails only if
// the pages are in use. See stock/press.h.
bool last_look(ChargeRequest& request) {
  // A handler in the middle of its own thread's charge would wait for itself.
  const bool waits = !request.may(kChargeNoWait) && t_charge_depth == 0;
  const uint64_t deadline = waits ? sys::monotonic_ns() + kWaitForOthersNs : 0;
  int looks = 0;
  for (int tries = 0; looks < kLastLooks && tries < kMostLooks; ++tries) {
    uint32_t group = kNone;
    if (!may_fit(request, &group) || beyond_stocks(request)) return false;
    const uint64_t since = press(*g_segment.group(group));
    wait_for_chargers(deadline);
    drain_stocks(group);
    wait_for_chargers(deadline);
    if (charge_exactly(request)) return true;
    if (!waits) return false;
    const bool same = group == g_segment.group_of(request.failed);
    if (same && press_holds(since)) ++looks;
  }
  return false;
}

// After a refusal a program needs some memory to unwind and to say what
// happened: small requests may go over max for a while. The reserve is refilled
// first, since nothing is charged within max until usage is back below it.
bool charge_reserve(ChargeRequest& request, Group& group) {
  if (!request.reserve || request.pages > kSmallRequest) return false;
  uint64_t refused = group.refused_ms.load(kRelaxed);
  if (refused == 0 || sys::coarse_ms() - refused > kReserveWindowMs) {
    return false;
  }
  PageCounter* failed;
  return account_try_charge(*request.account, request.pages, &failed,
                            PageCounter::Limit::kMaxAndReserve, false);
}

// Over the limit rather than fail, but not more than counters count.
bool charge_over(ChargeRequest& request) {
  const int64_t all = g_segment.group(kRootGroup)->memory.usage();
  if (!request.may(kChargeNoFail) || request.kind_refused ||
      request.pages > kPageCounterMax - all) {
    return false;
  }
  ChargeSection section;
  account_charge(*request.account, request.pages);
  return charge_kind(request);
}

void report_refusal(const ChargeRequest& request, uint32_t group,
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
  line.text("; a request of ").bytes(bytes(request.pages));
  line.text(" failed after reclaiming ").bytes(bytes(won.purged + won.drained));
  line.text(" (later refusals are counted, not printed)");
  print_line(line);
}

void count_failure(uint32_t group) {
  memcg_memory_event(g_segment, group, Event::kMax);
  g_segment.group(group)->memory.count_failure();
}

void out_of_memory(const ChargeRequest& request, uint32_t group,
                   const Won& won) {
  if (request.pages <= kCostlyRequest) {
    memcg_memory_event(g_segment, group, Event::kOom);
  }
  report_refusal(request, group, won);
  if (settings.oom == OomPolicy::kKill) {
    memcg_memory_event(g_segment, request.account->charged.load(kRelaxed),
                       Event::kOomKill);
    ::syscall(SYS_kill, sys::process_id(), SIGKILL);
  }
}

// Those who say how to fail know what to do then.
void refuse(const ChargeRequest& request, uint32_t group, const Won& won) {
  const bool expected =
      request.may(kChargeNoWait | kChargeNoRetry | kChargeRetryMayFail);
  // What opens the reserve: heap memory was refused, or all is lost.
  if (request.reserve || !expected) {
    g_segment.group(group)->refused_ms.store(sys::coarse_ms(), kRelaxed);
  }
  if (!expected) out_of_memory(request, group, won);
}

bool charge_slowly(ChargeRequest& request) {
  const uint32_t group = g_segment.group_of(request.failed);
  if (request.kind_refused || group == kNone) return false;
  count_failure(group);
  Won won;
  if ((!request.may(kChargeNoWait) && reclaim_and_charge(request, &won)) ||
      last_look(request) || charge_reserve(request, *g_segment.group(group)) ||
      charge_over(request)) {
    return true;
  }
  if (!request.kind_refused) refuse(request, group, won);
  return false;
}

// Charged pages wait in a reservation; mimalloc's second try takes them.
void charge_slow() {
  ChargeRecord& record = t_charge_record;
  record.armed = false;
  drop_reservation();
  ChargeRequest request{record.account, record.pages, t_context.flags};
  request.reserve = true;
  request.failed = record.failed;
  if (charge_slowly(request)) reserve_pages(*record.account, record.pages);
  // The second try may still succeed; if not, the error callback says ENOMEM.
  errno = record.saved_errno;
}

}  // namespace

bool charge_through_stock(ChargeRequest& request) {
  if (request.pages > kChargeBatch) return charge_exactly(request);
  if (part_of(request.kind) == kPlainPart) return charge_few(request);
  // Not within the section: it calls back.
  if (thread_line() == nullptr && !t_context.exiting) acquire_line();
  ChargeSection section;
  return charge_few(request) && charge_kind(request);
}

bool charge_with_reclaim(ChargeRequest& request) {
  ErrnoSaver saver;
  return charge_slowly(request);
}

void install_reclaim(const ReclaimSettings& chosen) {
  settings = chosen;
  g_charge_slow_hook.install(charge_slow);
}

}  // namespace umemcg
