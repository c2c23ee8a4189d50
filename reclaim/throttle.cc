#include "reclaim/throttle.h"

#include "accounting/event.h"
#include "accounting/gate.h"
#include "accounting/mem_cgroup.h"
#include "accounting/process.h"
#include "accounting/psi.h"
#include "accounting/victim.h"
#include "base/errno_saver.h"
#include "base/probe.h"
#include "base/sys.h"
#include "reclaim/asked_shrinkers.h"
#include "reclaim/reclaim.h"
#include "stock/current.h"

namespace umemcg {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
// What the worker reclaims for threads that could not pay: as the kernel's.
constexpr int64_t kWorkBatch = 64;
// As MAX_RECLAIM_RETRIES.
constexpr int kRetries = 16;
// Passes that get something end, too: others may take it all the time.
constexpr int kMostPasses = 128;
// MEMCG_DELAY_PRECISION_SHIFT.
constexpr int kRatioBits = 20;
// How often a sleeper looks whether it has to go on sleeping.
constexpr uint64_t kLookNs = 50'000'000;
// How often who is not throttled any more tries to reclaim.
constexpr uint64_t kTryAgainMs = 100;

// In handle_over_high: an allocation in a signal handler does not sleep too.
constinit UMEMCG_TLS bool t_paying = false;
// When a process that is not throttled any more has last tried to reclaim.
constinit std::atomic<uint64_t> last_try_ms{0};
// + 1: the group that a thread charged that could not pay.
constinit std::atomic<uint32_t> unpaid_group{0};

// Calls visit(index, row) for the group and those above it, but the root.
template <typename Visit>
void for_each_level(uint32_t group, Visit visit) {
  for (int level = 0; level <= kMaxDepth && group != kRootGroup; ++level) {
    Group* row = g_segment.group(group);
    if (row == nullptr) return;
    visit(group, *row);
    group = parent_group(g_segment, group);
  }
}

// Pages over high there; at most 0 if it is not.
int64_t pages_over(const Group& group) {
  return group.memory.usage() - group.high.load(kRelaxed);
}

bool is_over_high(uint32_t group) {
  bool over = false;
  for_each_level(
      group, [&](uint32_t, const Group& row) { over |= pages_over(row) > 0; });
  return over;
}

// The longest of all levels.
uint64_t delay_of(uint32_t group, int64_t pages) {
  uint64_t longest = 0;
  for_each_level(group, [&](uint32_t, const Group& row) {
    const uint64_t delay =
        high_delay_ns(pages, row.memory.usage(), row.high.load(kRelaxed));
    if (delay > longest) longest = delay;
  });
  return longest;
}

// reclaim_high: on each level that is over. The pages that were given back, but
// for those that threads had charged ahead.
int64_t reclaim_high(uint32_t group, int64_t pages) {
  int64_t got = 0;
  MemstallScope stalled(group);
  for_each_level(group, [&](uint32_t index, const Group& row) {
    if (pages_over(row) <= 0) return;
    memcg_memory_event(g_segment, index, Event::kHigh);
    Reclaimed sum;
    const int64_t all =
        try_to_free_pages(index, pages, ReclaimReason::kHigh, &sum);
    got += all - sum[Source::kStock];
  });
  return got;
}

void count_high(uint32_t group) {
  for_each_level(group, [](uint32_t index, const Group& row) {
    if (pages_over(row) > 0) {
      memcg_memory_event(g_segment, index, Event::kHigh);
    }
  });
}

// What is left of the episode.
uint64_t time_left(const Account& account) {
  const uint64_t slept = account.throttled_ns.load(kRelaxed);
  return slept < kMostThrottledNs ? kMostThrottledNs - slept : 0;
}

// Adds [now, end) to the episode, less what others sleep anyway.
void count_sleep(Account& account, uint64_t now, uint64_t end) {
  uint64_t until = account.throttled_until_ns.load(kRelaxed);
  uint64_t more;
  do {
    if (end <= until) return;
    more = end - (until > now ? until : now);
  } while (
      !account.throttled_until_ns.compare_exchange_weak(until, end, kRelaxed));
  account.throttled_ns.fetch_add(more, kRelaxed);
}

// Not a cancellation point; a signal ends nanosleep, not the sleep.
void sleep_over_high(Account& account, uint32_t group, uint32_t pages,
                     uint64_t ns) {
  MemstallScope stalled(group);
  UMEMCG_PROBE3(high_throttle, group, pages, ns);
  const uint64_t start = sys::monotonic_ns();
  const uint64_t end = start + ns;
  count_sleep(account, start, end);
  for (uint64_t now = start; now < end; now = sys::monotonic_ns()) {
    const uint64_t left = end - now;
    sys::sleep_ns(left < kLookNs ? left : kLookNs);
    psi_update(g_segment, group, sys::monotonic_ns());
    if (process_is_leaving() || !is_over_high(group)) return;
  }
}

// The time is used up: what happens is counted, and now and then it is looked
// whether reclaim gets something again.
void go_on_unthrottled(Account& account, uint32_t group, uint32_t pages) {
  const uint64_t now = sys::coarse_ms();
  uint64_t last = last_try_ms.load(kRelaxed);
  if (now - last < kTryAgainMs ||
      !last_try_ms.compare_exchange_strong(last, now, kRelaxed)) {
    count_high(group);
  } else if (reclaim_high(group, pages) >= int64_t{pages}) {
    account.throttled_ns.store(0, kRelaxed);
  }
}

void throttle(Account& account, uint32_t group, uint32_t pages) {
  int64_t got = 0;
  int retries = kRetries;
  for (int pass = 0; pass < kMostPasses; ++pass) {
    const int64_t now =
        reclaim_high(group, pass == 0 ? int64_t{pages} : kReclaimBatch);
    got += now;
    if (got >= int64_t{pages}) account.throttled_ns.store(0, kRelaxed);
    if (process_is_leaving()) return;
    uint64_t delay = delay_of(group, pages);
    if (delay <= kShortestDelayNs) return;
    if (now > 0 || retries-- > 0) continue;
    const uint64_t left = time_left(account);
    if (delay > left) delay = left;
    if (delay != 0) sleep_over_high(account, group, pages, delay);
    return;
  }
}

// Where it may sleep and call back: not in a callback, nor where a handler has
// interrupted a charge.
bool may_pay() {
  return !t_context.reclaiming && !t_paying && t_charge_depth == 0 &&
         (t_context.flags & kChargeNoWait) == 0;
}

}  // namespace

// pages x (over / high)^2 in units of 2^-40 s, as the kernel has it in jiffies.
uint64_t high_delay_ns(int64_t pages, int64_t usage, int64_t high) {
  if (usage <= high || pages <= 0) return 0;
  if (high < 1) high = 1;
  const auto over = static_cast<uint64_t>(usage - high);
  const auto base = static_cast<uint64_t>(high);
  // 4 times as much and more is the longest for a single page.
  if (over / base >= 4) return kLongestDelayNs;
  const uint64_t ratio = over < uint64_t{1} << (63 - kRatioBits)
                             ? (over << kRatioBits) / base
                             : over / (base >> kRatioBits);
  uint64_t delay;
  constexpr uint64_t kLongest = uint64_t{2} << (2 * kRatioBits);
  if (__builtin_mul_overflow(ratio * ratio, static_cast<uint64_t>(pages),
                             &delay) ||
      delay >= kLongest) {
    return kLongestDelayNs;
  }
  constexpr int kDropped = 11;  // so that the product fits
  return ((delay >> kDropped) * 1'000'000'000) >> (2 * kRatioBits - kDropped);
}

void handle_over_high() {
  const uint32_t pages = t_context.over_high;
  Account* const account = t_context.over_high_account;
  if (pages == 0 || account == nullptr) return;
  const uint32_t group = account->charged.load(kRelaxed);
  if (process_is_leaving() || t_context.exiting) {
    t_context.over_high = 0;
    return;
  }
  if (!may_pay()) {
    unpaid_group.store(group + 1, kRelaxed);
    return;
  }
  ErrnoSaver saver;
  AskedShrinkers asked;
  t_paying = true;
  t_context.over_high = 0;
  if (time_left(*account) == 0) {
    go_on_unthrottled(*account, group, pages);
  } else {
    throttle(*account, group, pages);
  }
  t_paying = false;
}

void work_off_over_high() {
  if (unpaid_group.load(kRelaxed) == 0) return;
  const uint32_t group = unpaid_group.exchange(0, kRelaxed);
  if (group != 0) reclaim_high(group - 1, kWorkBatch);
}

}  // namespace umemcg
