#include "reclaim/oom.h"

#include <cerrno>

#include "accounting/event.h"
#include "accounting/lease.h"
#include "accounting/mem_cgroup.h"
#include "accounting/process.h"
#include "accounting/psi.h"
#include "accounting/victim.h"
#include "alloc/callback.h"
#include "base/errno_saver.h"
#include "base/lock.h"
#include "base/probe.h"
#include "base/sys.h"
#include "reclaim/asked_shrinkers.h"
#include "reclaim/refuse.h"
#include "reclaim/shrinker_table.h"
#include "stock/current.h"

namespace umemcg {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

// For another's out of memory, for a victim's end, and for the callback's.
constexpr uint32_t kWaitMs = 500;
// One out of memory takes no longer; whose does is overtaken.
constexpr uint32_t kMostLeaseMs = 2000;
constexpr int kMostCalls = 16;
constexpr int kMostCallsInAll = 256;
// How often the policy `wait` reclaims, and how seldom it looks.
constexpr uint64_t kReclaimPauseNs = 100'000'000;
constexpr uint64_t kLongestSleepNs = 10'000'000;
constexpr uint64_t kMsNs = 1'000'000;

// A call of the program's function that the thread is in.
struct OomCall {
  CallbackContext context;
  Account* limiting;
  bool held;  // a reference to it
};

// Held in a call, and to change which function it is.
constinit Lock callback_lock;
constinit OomCallback program_callback = {nullptr, nullptr, nullptr};
constinit UMEMCG_TLS OomCall* t_oom_call = nullptr;

OomPolicy policy_of(uint32_t group) {
  // acquire: pairs with set_oom_policy().
  return g_segment.group(group)->oom_policy.load(std::memory_order_acquire);
}

void count_oom(uint32_t group) {
  memcg_memory_event(g_segment, group, Event::kOom);
}

// mem_cgroup_margin, once more.
bool has_room(const ChargeRequest& request, uint32_t group) {
  return g_segment.group(group)->memory.margin() >= request.pages;
}

// 1, 2, 4 .. 10 ms.
void sleep_longer(uint64_t* ns) {
  sys::sleep_ns(*ns);
  *ns = 2 * *ns < kLongestSleepNs ? 2 * *ns : kLongestSleepNs;
}

// Whoever is on its way out has what it charged given back when it is gone.
void wait_for_the_dying(uint32_t group) {
  const uint64_t end = sys::monotonic_ns() + kWaitMs * kMsNs;
  uint64_t sleep = kMsNs;
  auto anybody = [group] {
    return somebody_ends(g_segment, group) || somebody_dies(g_segment, group);
  };
  while (anybody() && sys::monotonic_ns() < end) sleep_longer(&sleep);
  reap_dead_processes(g_segment);
}

OomVerdict kill_somebody(ChargeRequest& request, uint32_t group) {
  Lease lease(g_segment, g_segment.header().oom_lease, kWaitMs, kMostLeaseMs);
  // Whoever had the lease before may have made room, and so may the dead. If it
  // still has it, the retries pass the time.
  reap_dead_processes(g_segment);
  if (has_room(request, group) || !lease.held()) return OomVerdict::kRetry;
  if (somebody_ends(g_segment, group)) {
    wait_for_the_dying(group);
    return OomVerdict::kRetry;
  }
  if (!request.oom_waited && somebody_dies(g_segment, group)) {
    request.oom_waited = true;
    wait_for_the_dying(group);
    return OomVerdict::kRetry;
  }
  count_oom(group);
  Victim victim(g_segment, group);
  if (!victim.found()) return OomVerdict::kNoMemory;
  note_outcome(request, group, Outcome::kKilled);
  report_kill(request, group, victim.process());
  victim.kill();
  wait_for_the_dying(group);
  return OomVerdict::kRetry;
}

// The function works for the process's own group: it is the program's,
// whichever of its groups is full.
void begin_call(const ChargeRequest& request, uint32_t group, OomCall* call) {
  Account* limiting = account_of(group);
  call->limiting = limiting != nullptr ? limiting : request.account;
  call->held = account_get_handle(*call->limiting);
  t_oom_call = call;
  begin_callback(*process_account(), &call->context);
}

void end_call(void (*end)(const CallbackContext&)) {
  const OomCall& call = *t_oom_call;
  end(call.context);
  t_oom_call = nullptr;
  if (call.held) account_put_handle(*call.limiting);
}

// REQUIRES: callback_lock is held.
OomVerdict decide_by_program(ChargeRequest& request, uint32_t group) {
  if (has_room(request, group)) return OomVerdict::kRetry;
  count_oom(group);
  if (program_callback.call == nullptr) return OomVerdict::kNoMemory;
  const int64_t usage = g_segment.group(group)->memory.usage();
  // (Up and down is no progress.)
  if (usage < request.oom_usage) {
    request.oom_usage = usage;
    request.oom_calls = 0;
  }
  if (request.oom_calls++ >= kMostCalls ||
      request.oom_all_calls++ >= kMostCallsInAll) {
    return OomVerdict::kNoMemory;
  }
  OomCall call;
  begin_call(request, group, &call);
  // (It may be another function's turn from here on: it says so itself.)
  const OomCallback callback = program_callback;
  const bool made_room =
      callback.call(callback, *call.limiting, request.pages) != 0;
  end_call(end_callback);
  return made_room ? OomVerdict::kRetry : OomVerdict::kNoMemory;
}

OomVerdict ask_program(ChargeRequest& request, uint32_t group) {
  const uint64_t end = sys::monotonic_ns() + kWaitMs * kMsNs;
  for (int round = 0; !callback_lock.try_lock(); ++round) {
    // A call that is not over yet may have made it.
    if (has_room(request, group)) return OomVerdict::kRetry;
    if (sys::monotonic_ns() >= end) {
      count_oom(group);
      return OomVerdict::kNoMemory;
    }
    sys::pause(round);
  }
  const OomVerdict verdict = decide_by_program(request, group);
  callback_lock.unlock();
  return verdict;
}

// Whether there is something to wait for no longer: the charge is tried again.
bool changed(const ChargeRequest& request, uint32_t group) {
  return has_room(request, group) || policy_of(group) != OomPolicy::kWait ||
         !group_online(g_segment, group) ||
         request.account->inherited.load(kRelaxed);  // a forked child's
}

// Says in memory.oom_control that somebody waits. Others who do set it again.
class WaitingMark {
 public:
  explicit WaitingMark(uint32_t group)
      : since_ms_(g_segment.group(group)->waiting_ms) {}
  ~WaitingMark() { since_ms_.store(0, kRelaxed); }
  WaitingMark(const WaitingMark&) = delete;
  WaitingMark& operator=(const WaitingMark&) = delete;

  void renew() { since_ms_.store(sys::coarse_ms(), kRelaxed); }

 private:
  std::atomic<uint64_t>& since_ms_;
};

OomVerdict wait_for_room(ChargeRequest& request, uint32_t group) {
  if (request.oom_deadline_ns == 0) {
    count_oom(group);
    const uint64_t wait_ms = g_segment.group(group)->oom_wait_ms.load(kRelaxed);
    request.oom_deadline_ns = sys::monotonic_ns() + wait_ms * kMsNs;
  }
  MemstallScope stall(request.account->charged.load(kRelaxed));
  uint64_t reclaim_at = sys::monotonic_ns() + kReclaimPauseNs;
  uint64_t sleep = kMsNs;
  WaitingMark mark(group);
  for (;;) {
    mark.renew();
    const uint64_t now = sys::monotonic_ns();
    if (now >= request.oom_deadline_ns) return OomVerdict::kNoMemory;
    // (A process on its way out may charge over the limit now, or is refused.)
    if (changed(request, group) || process_is_leaving())
      return OomVerdict::kRetry;
    if (now >= reclaim_at) {
      reclaim_at = now + kReclaimPauseNs;
      AskedShrinkers::renew();
      try_to_free_pages(group, request.pages, ReclaimReason::kCharge,
                        &request.got);
    } else {
      sleep_longer(&sleep);
    }
  }
}

}  // namespace

OomVerdict out_of_memory(ChargeRequest& request, uint32_t group) {
  ErrnoSaver saver;
  UMEMCG_PROBE3(oom, group, request.pages, static_cast<int>(policy_of(group)));
  switch (policy_of(group)) {
    case OomPolicy::kKill:
      return kill_somebody(request, group);
    case OomPolicy::kCallback:
      return ask_program(request, group);
    case OomPolicy::kWait:
      return wait_for_room(request, group);
    case OomPolicy::kFail:
      break;
  }
  count_oom(group);
  return OomVerdict::kNoMemory;
}

Outcome oom_outcome(uint32_t group) {
  switch (policy_of(group)) {
    case OomPolicy::kCallback:
      return Outcome::kCallback;
    case OomPolicy::kWait:
      return Outcome::kWaited;
    case OomPolicy::kKill:
    case OomPolicy::kFail:
      break;
  }
  return Outcome::kFailed;
}

int set_oom_callback(const OomCallback& callback) {
  if (t_oom_call != nullptr) {
    program_callback = callback;
    return 0;
  }
  if (t_shrinker_call == nullptr) {
    callback_lock.lock();
  } else if (!callback_lock.lock_within(kWaitMs)) {
    return EDEADLK;
  }
  program_callback = callback;
  callback_lock.unlock();
  return 0;
}

void reset_oom() {
  if (t_oom_call == nullptr) callback_lock.reset();
}

void abandon_oom_callback() {
  if (t_oom_call == nullptr) return;
  end_call(abandon_callback);
  AskedShrinkers::abandon();
  callback_lock.unlock();
}

}  // namespace umemcg
