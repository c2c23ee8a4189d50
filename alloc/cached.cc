#include "alloc/cached.h"

#include <sys/mman.h>

#include "accounting/mem_cgroup.h"
#include "accounting/stat_line.h"
#include "alloc/cached_stack.h"
#include "alloc/compound.h"
#include "alloc/purge_run.h"
#include "base/sys.h"

namespace umemcg {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
// For `purges` and `period`: a purge is counted, then takes the stack; a charge
// that found the stack empty reads the count. In one total order, one of the
// two sees the other.
constexpr auto kSeqCst = std::memory_order_seq_cst;
constexpr uint32_t kDecayMs = 1000;
constexpr uint32_t kDecayPauseMs = 100;
constexpr uint32_t kAnyAge = UINT32_MAX;

// Purges under way. They are counted by the period that they began in, its
// last bit; a new period begins when those of the one before have ended.
constinit std::atomic<int32_t> purges[2];
constinit std::atomic<uint32_t> period{0};
constinit std::atomic<uint32_t> last_decay_ms{0};
// There may be slices in a stack of an account that does not own them.
constinit std::atomic<bool> misplaced{false};
// Where the thread's last purge of a subtree met others; null: nowhere.
constinit UMEMCG_TLS ChunkGate* t_met_others = nullptr;

uint32_t now_ms() { return static_cast<uint32_t>(sys::coarse_ms()); }

enum class Claim { kDone, kStale, kBusy, kYoung };

// Has the gate of the chunk that was last looked at, as long as the slices
// that come up are in it: neighbours usually come together.
class PurgerGate {
 public:
  PurgerGate() = default;
  ~PurgerGate() { leave(); }
  PurgerGate(const PurgerGate&) = delete;
  PurgerGate& operator=(const PurgerGate&) = delete;

  bool enter(SliceNumber number) {
    ChunkGate& gate = chunk_gate(number);
    if (gate_ == &gate) return true;
    leave();
    if (!gate.try_enter_alone()) return false;
    gate_ = &gate;
    return true;
  }
  void leave() {
    if (gate_ != nullptr) gate_->leave_alone();
    gate_ = nullptr;
  }

 private:
  ChunkGate* gate_ = nullptr;
};

// A slice of another account: taken out here and, if it is cached there, put
// into that account's stack. REQUIRES: the gate.
Claim claim_misplaced(SliceNumber number, Slice& slice, SliceWord word) {
  bool cached = word.cached() != 0;
  slice.store(word.with_queued(cached));
  if (cached) push_chain(*account_at(word.owner()), number, slice);
  return Claim::kStale;
}

// Takes a slice out of the stack for purging, unless it has been committed
// again, is being committed, or is too young.
Claim claim(Account& account, PurgerGate& gate, SliceNumber number,
            Slice& slice, uint32_t oldest, uint32_t now) {
  if (!gate.enter(number)) return Claim::kBusy;
  SliceWord word = slice.load();
  if (word.purging()) return Claim::kBusy;  // a compound's: another purger's
  if (UMEMCG_UNLIKELY(word.owner() != account.id)) {
    return claim_misplaced(number, slice, word);
  }
  if (word.cached() == 0) {
    slice.store(word.with_queued(false));
    return Claim::kStale;
  }
  // Signed: it may have been cached since `now` was read.
  auto age = static_cast<int32_t>(now - slice.cached_ms.load(kRelaxed));
  if (oldest != kAnyAge && age < static_cast<int32_t>(oldest)) {
    return Claim::kYoung;
  }
  if (in_whole_compound(number) && !compound_is_free(number)) {
    // The last of its pages to be freed will be queued again.
    slice.store(word.with_queued(false));
    return Claim::kStale;
  }
  slice.store(word.with_queued(false).with_purging(true));
  return Claim::kDone;
}

// The other slices of a compound that is given back, claimed with the one that
// came from the stack. Those that are in the stack too stay there, and will be
// found empty.
int claim_siblings(Account& account, SliceNumber number, SliceNumber* claimed,
                   int64_t* pages) {
  int count = 0;
  const SliceNumber first = number & ~(kCompoundSlices - 1);
  for (SliceNumber n = first; n != first + kCompoundSlices; ++n) {
    Slice& slice = *find_slice(n);
    SliceWord word = slice.load();
    if (n == number || word.cached() == 0 || word.owner() != account.id) {
      continue;
    }
    slice.store(word.with_purging(true));
    claimed[count++] = n;
    *pages += pages_in(word.cached());
  }
  break_compound(account, number);
  return count;
}

void account_for_purge(Account& account, int64_t pages, PurgeReason reason) {
  if (pages == 0) return;
  account.cached_pages.fetch_sub(pages, kRelaxed);
  account_uncharge(account, pages);
  count_stat(account, Stat::kCached, -pages);
  count_stat(account, Stat::kPurged, pages);
  count_stat(account, Stat::kPgpgout, 1);
  count_stat(account, Stat::kPageEvents, pages);
  if (reason == PurgeReason::kReclaim) {
    count_stat(account, Stat::kPgsteal, pages);
  }
}

// Claimed slices wait here, so that the rest goes back into the stack before
// the system is called.
constexpr int kBatch = 256;

int64_t purge_batch(Account& account, int64_t goal, PurgeReason reason,
                    uint32_t oldest, SliceChain& refused, bool* more) {
  SliceNumber claimed[kBatch];
  int count = 0;
  int64_t pages = 0;
  const uint32_t now = now_ms();
  KeptSlices kept;
  PurgerGate gate;
  uint32_t link = take_stack(account);
  while (link != 0 && count < kBatch - static_cast<int>(kCompoundSlices) &&
         pages < goal) {
    SliceNumber number = link - 1;
    Slice& slice = *find_slice(number);
    link = slice.next.load(kRelaxed);
    Claim result = claim(account, gate, number, slice, oldest, now);
    if (result == Claim::kDone) {
      pages += pages_in(slice.load().cached());
      claimed[count++] = number;
      if (in_whole_compound(number)) {
        count += claim_siblings(account, number, claimed + count, &pages);
      }
    } else if (result != Claim::kStale) {
      kept.keep(number, slice);
      if (result == Claim::kBusy) t_met_others = &chunk_gate(number);
    }
  }
  gate.leave();
  *more = link != 0 && pages < goal;
  put_back(account, kept.with_rest(link));
  PurgeRun run(refused, reason);
  for (int i = 0; i < count; ++i) run.add(claimed[i]);
  run.flush();
  return run.purged();
}

int64_t purge_account(Account& account, int64_t goal, PurgeReason reason,
                      uint32_t oldest) {
  int64_t pages = 0;
  bool more = true;
  SliceChain refused;  // back into the stack at the end, or it has none
  // seq_cst: a charge that fails later than this sees it (purge_in_progress).
  std::atomic<int32_t>& under_way = purges[period.load(kSeqCst) % 2];
  under_way.fetch_add(1, kSeqCst);
  while (more && pages < goal) {
    int64_t got =
        purge_batch(account, goal - pages, reason, oldest, refused, &more);
    account_for_purge(account, got, reason);
    if (reason == PurgeReason::kReclaim) {
      count_stat(account, Stat::kPgscan, got);
    }
    pages += got;
  }
  refused.push(account);
  under_way.fetch_sub(1, kSeqCst);
  return pages;
}

}  // namespace

void note_misplaced() { misplaced.store(true, kRelaxed); }

namespace {
// Looks through all stacks and puts each slice into its owner's.
void sort_stacks() {
  const uint32_t last = account_count();
  for (uint32_t id = 1; id <= last; ++id) {
    Account& account = *account_at(id);
    KeptSlices kept;
    PurgerGate gate;
    for (uint32_t link = take_stack(account); link != 0;) {
      SliceNumber number = link - 1;
      Slice& slice = *find_slice(number);
      link = slice.next.load(kRelaxed);
      const bool inside = gate.enter(number);
      const SliceWord word = slice.load();
      const bool stable = inside && !word.purging();
      if (stable && word.owner() != id) {
        claim_misplaced(number, slice, word);
      } else {
        kept.keep(number, slice);
        if (!stable) note_misplaced();
      }
    }
    put_back(account, kept.with_rest(0));
  }
}
}  // namespace

void sort_misplaced() {
  if (UMEMCG_UNLIKELY(misplaced.load(kRelaxed)) &&
      misplaced.exchange(false, kRelaxed)) {
    sort_stacks();
  }
}

int64_t purge_cached(Account& account, int64_t goal, PurgeReason reason) {
  if (account.cached_head.load(kRelaxed) == 0) return 0;
  return purge_account(account, goal, reason, kAnyAge);
}

void begin_purges() {
  t_met_others = nullptr;
  sort_misplaced();
}

namespace {
// What may be taken of the account when `group` is under pressure. By slices:
// less by what one may be too much.
int64_t unprotected_pages(const Account& account, uint32_t group) {
  const uint32_t charged = account.charged.load(kRelaxed);
  if (charged == group) return INT64_MAX;
  const PageCounter& counter = g_segment.group(charged)->memory;
  const PageCounter::Effective own = counter.effective_protection_under(
      g_segment.group(group)->memory, kRecursiveProtection);
  const int64_t kept = own.min > own.low ? own.min : own.low;
  return kept == 0 ? INT64_MAX : counter.usage() - kept - kSlicePages;
}
}  // namespace

int64_t purge_cached_subtree(uint32_t group, int64_t goal, PurgeReason reason) {
  int64_t pages = 0;
  begin_purges();
  const uint32_t last = account_count();
  for (uint32_t id = 1; id <= last && pages < goal; ++id) {
    Account* account = account_at(id);
    if (account->cached_head.load(kRelaxed) == 0) continue;
    if (!in_subtree(g_segment, account->charged.load(kRelaxed), group))
      continue;
    int64_t most = goal - pages;
    if (reason == PurgeReason::kReclaim) {
      const int64_t free = unprotected_pages(*account, group);
      if (free < most) most = free;
    }
    if (most > 0) pages += purge_cached(*account, most, reason);
  }
  return pages;
}

int64_t decay_cached() {
  const uint32_t now = now_ms();
  uint32_t last = last_decay_ms.load(kRelaxed);
  if (now - last < kDecayPauseMs ||
      !last_decay_ms.compare_exchange_strong(last, now, kRelaxed)) {
    return 0;
  }
  int64_t pages = 0;
  const uint32_t count = account_count();
  for (uint32_t id = 1; id <= count; ++id) {
    Account* account = account_at(id);
    if (account->cached_head.load(kRelaxed) == 0) continue;
    pages += purge_account(*account, INT64_MAX, PurgeReason::kDecay, kDecayMs);
  }
  return pages;
}

bool purge_in_progress() {
  return purges[0].load(kSeqCst) != 0 || purges[1].load(kSeqCst) != 0;
}

namespace {

template <typename Done>
void wait_until(uint64_t deadline, Done done) {
  while (!done() && sys::monotonic_ns() < deadline) sys::sleep_ns(50'000);
}

// Waits for the purges that are under way, not for those that begin meanwhile.
// (Some may: whoever reads the period just before it ends.)
void wait_for_purges(uint64_t deadline) {
  uint32_t now = period.load(kSeqCst);
  if (purges[(now + 1) % 2].load(kSeqCst) == 0) {
    period.compare_exchange_strong(now, now + 1, kSeqCst);
  }
  std::atomic<int32_t>& before = purges[(period.load(kSeqCst) + 1) % 2];
  wait_until(deadline, [&before] { return before.load(kSeqCst) == 0; });
}

}  // namespace

bool wait_for_others(uint64_t deadline) {
  const bool purging = purge_in_progress();
  if (purging) wait_for_purges(deadline);
  if (t_met_others == nullptr) return purging;
  wait_until(deadline, [] {
    bool nobody = t_met_others->try_enter_alone();
    if (nobody) t_met_others->leave_alone();
    return nobody;
  });
  return true;
}

// The word is read again after the count of purges: the purge may have ended
// between the two, and its word must not be stored back.
bool drop_contents(SliceNumber number, uint32_t pages) {
  bool dropped = true;
  for (unsigned page = 0; page < kSlicePages;) {
    unsigned last = page;
    while (last < kSlicePages && (pages >> last & 1) != 0) ++last;
    if (last != page) {
      uintptr_t address = slice_address(number) + page * kPageSize;
      dropped &= sys::advise(reinterpret_cast<void*>(address),
                             (last - page) * kPageSize, MADV_DONTNEED) == 0;
    }
    page = last + 1;
  }
  return dropped;
}

SliceWord wait_for_purge(Slice& slice) {
  SliceWord word = slice.load();
  while (word.purging()) {
    const bool left_by_fork = !purge_in_progress();
    if (!left_by_fork) sys::yield();
    word = slice.load();
    if (left_by_fork && word.purging()) {
      word = word.with_purging(false);
      slice.store(word);
    }
  }
  return word;
}

namespace {

void queue_if_cached(SliceNumber number, Slice& slice) {
  SliceWord word = slice.load();
  if (word.owner() == 0 && !word.queued()) return;
  const bool cached = word.cached() != 0;
  slice.store(word.with_purging(false).with_queued(cached));
  if (!cached) return;
  SliceChain chain;
  chain.add(number, slice, now_ms());
  chain.push(*account_at(word.owner()));
}

// What other threads had taken out of the stacks is in none here: all stacks
// are made anew. What they had given back to the system, but not yet uncharged
// (or cached, but not yet counted), is made good.
// REQUIRES: no other thread of the process runs.
void rebuild_stacks() {
  const uint32_t last = account_count();
  for (uint32_t id = 1; id <= last; ++id)
    account_at(id)->cached_head.store(0, kRelaxed);
  for_each_slice(queue_if_cached);
  for (uint32_t id = 1; id <= last; ++id) {
    Account& account = *account_at(id);
    int64_t given_back =
        account.cached_pages.load(kRelaxed) - count_pages(id).cached;
    if (given_back >= 0) {
      account_for_purge(account, given_back, PurgeReason::kTrim);
    } else {
      account.cached_pages.fetch_sub(given_back, kRelaxed);
      count_stat(account, Stat::kUsed, given_back);
      count_stat(account, Stat::kCached, -given_back);
    }
  }
}

}  // namespace

void reset_purges() {
  const bool cut_off = purge_in_progress();
  for (auto& count : purges) count.store(0, kRelaxed);
  reset_chunk_gates();
  misplaced.store(false, kRelaxed);
  // (In a domain all that the child got is its parent's.)
  if (cut_off && g_segment.is_private()) rebuild_stacks();
}

// Under a limit that several processes share, or may share at any moment (a
// domain's), a page cached here is missed there, and nobody but this process
// can give it back: above 7/8 of the limit nothing is kept, below it all of
// them together keep at most 1/16 of it.
void trim_shared_cache(Account& account) {
  uint32_t group = account.charged.load(kRelaxed);
  int64_t keep = INT64_MAX;
  for (int level = 0; level <= kMaxDepth && group != kNone; ++level) {
    Group& row = *g_segment.group(group);
    int64_t max = row.memory.max();
    if (max != kPageCounterMax && !g_segment.is_private()) {
      const int64_t sharers = row.processes.load(kRelaxed);
      int64_t here = row.memory.margin() < max / 8 ? 0 : max / 16;
      if (sharers > 1) here /= sharers;
      if (here < keep) keep = here;
    }
    group = parent_group(g_segment, group);
  }
  int64_t excess = account.cached_pages.load(kRelaxed) - keep;
  if (keep != INT64_MAX && excess > 0) {
    purge_cached(account, excess, PurgeReason::kTrim);
  }
}

}  // namespace umemcg
