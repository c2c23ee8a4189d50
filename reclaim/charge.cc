#include "reclaim/charge.h"

#include <cerrno>

#include "accounting/event.h"
#include "accounting/mem_cgroup.h"
#include "accounting/process.h"
#include "accounting/psi.h"
#include "accounting/victim.h"
#include "alloc/cached.h"
#include "base/errno_saver.h"
#include "base/sys.h"
#include "reclaim/asked_shrinkers.h"
#include "reclaim/attempt.h"
#include "reclaim/drain.h"
#include "reclaim/last_look.h"
#include "reclaim/oom.h"
#include "reclaim/refuse.h"
#include "stock/charge.h"
#include "stock/current.h"
#include "stock/fail.h"

namespace umemcg {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
// MAX_RECLAIM_RETRIES.
constexpr int kRetries = 16;
// Requests up to 8 pages (PAGE_ALLOC_COSTLY_ORDER) are tried again free of
// charge when reclaim got something: they may well fit.
constexpr int64_t kCostlyPages = 8;
// But not for ever, while others take it all.
constexpr int kMostFreeRetries = 128;
// How long a request waits, in all, for others that are in the middle of
// giving pages back: the system may have put them to sleep.
constexpr uint64_t kWaitForOthersNs = 100'000'000;

// Perhaps somebody frees something: let them.
void wait_a_little(int retry) {
  if (retry % 4 == 0) {
    sys::sleep_ns(20'000);
  } else {
    sys::yield();
  }
}

// Somebody is changing the tree, reaping the dead or recounting: counters may
// be too high until that has ended.
bool tree_in_motion() {
  const SegmentHeader& header = g_segment.header();
  // acquire: what the change did to counters is seen when it is over.
  return header.changing.load(std::memory_order_acquire) != 0 ||
         (header.gate.load(std::memory_order_acquire) & 1) != 0;
}

// Whether there was something to wait for, and it has ended.
bool wait_for_tree(uint64_t deadline) {
  if (!tree_in_motion()) return false;
  for (int round = 0; tree_in_motion(); ++round) {
    if (sys::monotonic_ns() >= deadline) return false;
    sys::pause(round);
  }
  return true;
}

// What this process has charged to removed groups is their parents' now.
bool reparent() {
  if (!accounts_outdated()) return false;
  sync_accounts();
  return true;
}

// Whoever is in the middle of giving pages back is waited for, and the attempt
// repeated: that is not the request's failure, and no retry.
bool charge_patiently(ChargeRequest& request, uint64_t deadline) {
  // (Where groups come and go all the time, there is always something.)
  int reparents = kRetries;
  while (!charge_exactly(request)) {
    if (request.kind_refused) return false;
    if (reparents-- > 0 && reparent()) continue;
    if (sys::monotonic_ns() >= deadline) return false;
    if (!wait_for_others(deadline) && !wait_for_tree(deadline)) return false;
  }
  return true;
}

// A callback of the program has forked, and this is the child: the account is
// its parent's, so nothing is charged to it here.
bool has_forked(const ChargeRequest& request) {
  const Account* account = request.account;
  return account != nullptr && account->inherited.load(kRelaxed);
}

// try_charge_memcg from its first failure on: that was in the fast half.
class SlowCharge {
 public:
  SlowCharge(ChargeRequest& request, uint32_t group)
      : request_(request),
        group_(group),
        deadline_(sys::monotonic_ns() + kWaitForOthersNs) {}

  // Whether the request is charged.
  bool run() {
    if (t_context.reclaiming) return served_in_reclaim();
    if (request_.may(kChargeNoWait)) {
      return last_look(request_) || served_beyond_limit() || refuse();
    }
    AskedShrinkers asked;
    for (;;) {
      raise_max();
      if (dies() || !may_fit(request_, &group_)) break;
      const int64_t got = reclaim();
      if (forked()) return false;
      if (!worth_a_retry(got)) {
        if (last_look(request_)) return true;
        if (served_beyond_limit()) return true;
        const bool handled = out_of_memory_handled();
        if (forked()) return false;
        if (!handled) return refuse();
      }
      if (charge_patiently(request_, deadline_)) return true;
      if (request_.kind_refused) return false;
    }
    return charged_ || served_beyond_limit() || raise_oom() || refuse();
  }

 private:
  bool forked() const { return has_forked(request_); }

  // On every pass that gets here, on the group whose limit refused this time.
  void raise_max() {
    const uint32_t group = g_segment.group_of(request_.failed);
    if (group != kNone) group_ = group;
    memcg_memory_event(g_segment, group_, Event::kMax);
    // The fast half leaves that to this.
    g_segment.group(group_)->memory.count_failure();
  }

  // A process on its way out is not held up by a limit.
  bool dies() {
    charged_ = may_force_charge(request_.pages) && force_charge(request_);
    return charged_;
  }

  int64_t reclaim() {
    MemstallScope stall(request_.account->charged.load(kRelaxed));
    return try_to_free_pages(group_, request_.pages, ReclaimReason::kCharge,
                             &request_.got, deadline_);
  }

  // What the kernel decides after a reclaim that got that many pages.
  bool worth_a_retry(int64_t got) {
    const bool fits = request_.failed->margin() >= request_.pages;
    const bool small = got > 0 && request_.pages <= kCostlyPages;
    if (fits && free_retries_++ < kMostFreeRetries) return true;
    if (!drained_) {
      drained_ = true;
      request_.got[Source::kStock] += drain_stocks(group_, Waiting::kMay);
      return true;
    }
    if (request_.may(kChargeNoRetry)) return false;
    if (small && free_retries_++ < kMostFreeRetries) return true;
    if (retries_ == 0) return reaped_somebody();
    wait_a_little(retries_--);
    return true;
  }

  // Reclaim looks for the dead every 20 ms only: once more, before it is told
  // that there is no room.
  bool reaped_somebody() {
    if (reaped_) return false;
    reaped_ = true;
    return reap_dead_processes(g_segment) != 0;
  }

  // The out-of-memory policy has made room, perhaps: all begins anew, but for
  // the drain.
  bool out_of_memory_handled() {
    // (Who is on its way out, and has had all that it may charge over the
    // limit, is not worth anybody's life.)
    if (request_.kind_refused || expected() || process_is_leaving()) {
      return false;
    }
    retries_ = kRetries;
    free_retries_ = 0;
    const uint32_t group = g_segment.group_of(request_.failed);
    if (group == kNone) return false;
    group_ = group;
    if (out_of_memory(request_, group) == OomVerdict::kRetry) {
      AskedShrinkers::renew();
      reaped_ = false;
      return true;
    }
    outcome_ = oom_outcome(group);
    return false;
  }

  // Those who say how to fail know what to do then.
  bool expected() const {
    return request_.may(kChargeNoWait | kChargeNoRetry | kChargeRetryMayFail);
  }

  bool served_in_reclaim() {
    return charge_reserve(request_, group_) || dies() ||
           (request_.may(kChargeNoFail) && force_charge(request_));
  }

  bool served_beyond_limit() {
    Outcome outcome = Outcome::kReserve;
    if (!charge_reserve(request_, group_)) {
      outcome = Outcome::kForced;
      if (!request_.may(kChargeNoFail) || !force_charge(request_)) return false;
      if (request_.may(kChargeNoWait)) raise_max();
    }
    note_outcome(request_, group_, outcome);
    return true;
  }

  // More than the limit itself was asked for: nobody's end makes room for it,
  // so no policy is asked.
  bool raise_oom() {
    if (!expected() && !request_.kind_refused) {
      memcg_memory_event(g_segment, group_, Event::kOom);
    }
    return false;
  }

  bool refuse() {
    if (request_.kind_refused) return false;
    // What opens the reserve: heap memory was refused, or all is lost.
    if (request_.reserve || !expected()) {
      g_segment.group(group_)->refused_ms.store(sys::coarse_ms(), kRelaxed);
    }
    note_outcome(request_, group_, outcome_);
    if (!expected()) report_refusal(request_, group_);
    return false;
  }

  ChargeRequest& request_;
  uint32_t group_;
  uint64_t deadline_;
  int retries_ = kRetries;
  int free_retries_ = 0;
  bool drained_ = false;
  bool reaped_ = false;
  bool charged_ = false;
  Outcome outcome_ = Outcome::kFailed;
};

bool charge_slowly(ChargeRequest& request) {
  if (UMEMCG_UNLIKELY(injecting()) && take_injected(request.reserve)) {
    return false;
  }
  const uint32_t group = g_segment.group_of(request.failed);
  if (request.kind_refused || group == kNone) return false;
  return SlowCharge(request, group).run();
}

// Charged pages wait in a reservation; mimalloc's second try takes them.
void charge_slow() {
  // What is allocated in callbacks meanwhile leaves records of its own.
  const ChargeRecord record = t_charge_record;
  t_charge_record.armed = false;
  drop_reservation();
  ChargeRequest request{record.account, record.pages, t_context.flags};
  request.reserve = true;
  request.failed = record.failed;
  bool charged = charge_slowly(request);
  if (!charged && has_forked(request)) {
    request.account = current_of(request.account);
    charged = charge_slowly(request);
  }
  if (charged) reserve_pages(*request.account, record.pages);
  t_charge_record.armed = false;
  // The second try may still succeed; if not, the error callback says ENOMEM.
  errno = record.saved_errno;
}

}  // namespace

bool charge_with_reclaim(ChargeRequest& request) {
  ErrnoSaver saver;
  return charge_slowly(request);
}

void install_reclaim(const ReclaimSettings& chosen) {
  set_report_refusals(chosen.report_refusal);
  g_charge_slow_hook.install(charge_slow);
}

}  // namespace umemcg
