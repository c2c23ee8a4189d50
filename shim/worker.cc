#include "shim/worker.h"

#include <pthread.h>
#include <signal.h>

#include <atomic>

#include "accounting/account.h"
#include "accounting/listeners.h"
#include "accounting/mem_cgroup.h"
#include "accounting/notify.h"
#include "accounting/process.h"
#include "accounting/psi.h"
#include "alloc/fork.h"
#include "alloc/group_heap.h"
#include "alloc/heap.h"
#include "base/errno_saver.h"
#include "base/sys.h"
#include "reclaim/serve.h"
#include "reclaim/throttle.h"
#include "shim/init.h"
#include "shim/real.h"

namespace umemcg {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr auto kSeqCst = std::memory_order_seq_cst;

constexpr uint64_t kMs = 1'000'000;
constexpr uint64_t kHousekeepingNs = 250 * kMs;
constexpr uint64_t kAveragesNs = 2000 * kMs;
constexpr uint64_t kLeastRestNs = 1 * kMs;
constexpr uint64_t kMostRestNs = 10 * kMs;
constexpr uint64_t kMostStopNs = 100 * kMs;

// seq_cst: whoever comes to want a worker, then finds one, is seen by it before
// it ends.
constinit std::atomic<bool> running{false};
constinit std::atomic<bool> stopping{false};
// In a round, so something of the process is in use.
constinit std::atomic<bool> in_round{false};
constinit UMEMCG_TLS bool t_worker = false;

bool wanted() { return config().worker || any_listeners(); }

// Others may ask this process and expect an answer.
void say_so(bool there) {
  ProcessSlot* slot = g_segment.process(this_process());
  if (slot == nullptr) return;
  if (there) {
    slot->flags.fetch_or(kProcessWorker, kRelaxed);
  } else {
    slot->flags.fetch_and(~uint32_t{kProcessWorker}, kRelaxed);
  }
}

// Of all groups that this process charges, and those above them.
void update_averages(uint64_t now_ns) {
  const uint32_t last = account_count();
  for (uint32_t i = 1; i <= last; ++i) {
    const Account* account = account_at(i);
    if (account == nullptr || account->released.load(kRelaxed)) continue;
    uint32_t group = account->charged.load(kRelaxed);
    for (int level = 0; level <= kMaxDepth && group != kNone; ++level) {
      if (g_segment.group(group) == nullptr) break;
      psi_update(g_segment, group, now_ns);
      group = parent_group(g_segment, group);
    }
  }
}

class Rounds {
 public:
  // False when it is not wanted any more.
  bool next() {
    const uint32_t seen = news(g_segment);
    const uint64_t began = sys::monotonic_ns();
    work(began);
    if (began >= housekeeping_ns_ && !tidy_up(began)) return false;
    const uint64_t ended = sys::monotonic_ns();
    wait(seen, ended);
    rest(ended, ended - began);
    return true;
  }

 private:
  void work(uint64_t now) {
    serve_reclaim_requests();
    work_off_over_high();
    tell_listeners(now);
    if (now < averages_ns_) return;
    update_averages(now);
    averages_ns_ = now + kAveragesNs;
  }

  bool tidy_up(uint64_t now) {
    if (!wanted()) return false;
    allocator_housekeeping();
    sync_thread();
    housekeeping_ns_ = now + kHousekeepingNs;
    return true;
  }

  void wait(uint32_t seen, uint64_t now) {
    uint64_t until = next_look_ns();
    if (housekeeping_ns_ < until) until = housekeeping_ns_;
    if (averages_ns_ < until) until = averages_ns_;
    // seq_cst: pairs with stop_worker(), which raises the sequence after it.
    in_round.store(false, kSeqCst);
    if (until > now && !stopping.load(kSeqCst)) {
      sleep_for_news(g_segment, seen, until - now);
    }
  }

  // Counted from the end of the round.
  void rest(uint64_t ended, uint64_t took) {
    uint64_t pause = took * 9;
    if (pause < kLeastRestNs) pause = kLeastRestNs;
    if (pause > kMostRestNs) pause = kMostRestNs;
    const uint64_t slept = sys::monotonic_ns() - ended;
    if (slept < pause) sys::sleep_ns(pause - slept);
  }

  uint64_t housekeeping_ns_ = sys::monotonic_ns() + kHousekeepingNs;
  uint64_t averages_ns_ = 0;
};

// Stands still when the process is about to end: what a thread does at its own
// end would meet what the process does at its.
void begin_round() {
  // seq_cst, both: pairs with stop_worker().
  in_round.store(true, kSeqCst);
  while (stopping.load(kSeqCst)) {
    in_round.store(false, kSeqCst);
    sys::sleep_ns(kHousekeepingNs);
  }
}

void work_until_unwanted() {
  Rounds rounds;
  do {
    begin_round();
    check_fork();
  } while (rounds.next());
}

// A shrinker that it has called has ended the thread: another one takes its
// place, after a while, as it may end in the same way.
void end_by_exit(void*) {
  say_so(false);
  in_round.store(false, kSeqCst);
  sys::sleep_ns(kMostRestNs);
  running.store(false, kSeqCst);
  if (wanted()) start_worker();
}

void work_while_wanted() {
  do {
    say_so(true);
    work_until_unwanted();
    say_so(false);
    running.store(false, kSeqCst);
    // Somebody may have come to want it, and have found it there.
  } while (wanted() && !running.exchange(true, kSeqCst));
}

void* work(void*) {
  t_worker = true;
  sys::name_thread("umemcg");
  pthread_cleanup_push(end_by_exit, nullptr);
  work_while_wanted();
  pthread_cleanup_pop(0);
  in_round.store(false, kSeqCst);
  return nullptr;
}

bool make_thread() {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread;
  const bool made = real_pthread_create(&thread, nullptr, work, nullptr) == 0;
  if (made) pthread_detach(thread);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return made;
}

}  // namespace

bool start_worker() {
  if (running.exchange(true, kSeqCst)) return true;
  ErrnoSaver saver;
  if (make_thread()) return true;
  running.store(false, kSeqCst);
  return false;
}

// (A callback of the program's that it has called may be what ends the process.
// The child of a fork that has not noticed yet has what its parent's said.)
void stop_worker() {
  stopping.store(true, kSeqCst);
  if (!running.load(kSeqCst) || t_worker) return;
  if (!g_same_process->load(kRelaxed)) return;
  notify_listeners(g_segment);
  const uint64_t deadline = sys::monotonic_ns() + kMostStopNs;
  for (int i = 0; in_round.load(kSeqCst); ++i) {
    if (sys::monotonic_ns() >= deadline) return;
    sys::pause(i);
  }
}

void reset_worker() {
  running.store(false, kRelaxed);
  stopping.store(false, kRelaxed);
  in_round.store(false, kRelaxed);
  t_worker = false;
  // (In a domain the child has a slot of its own.)
  if (g_segment.is_private()) say_so(false);
}

}  // namespace umemcg
