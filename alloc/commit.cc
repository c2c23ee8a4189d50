#include "alloc/commit.h"

#include <sys/mman.h>

#include <cerrno>

#include "accounting/stat_line.h"
#include "alloc/cached.h"
#include "alloc/page_table.h"
#include "base/check.h"
#include "base/sys.h"
#include "stock/charge.h"
#include "stock/current.h"

namespace umemcg {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

constinit std::atomic<bool> commit_protects{false};

// A range of pages, slice by slice.
struct SliceRange {
  uintptr_t start;
  uintptr_t end;
  SliceNumber first() const { return slice_number(start); }
  SliceNumber last() const { return slice_number(end - 1); }
  uint32_t mask(SliceNumber number) const {
    return page_mask(slice_address(number), start, end);
  }
};

// The word, once no purge is at work on the slice. A purge is one madvise
// long; `purging` without any purge was left by a fork and is taken off.
SliceWord settled(Slice& slice) {
  SliceWord word = slice.load();
  while (UMEMCG_UNLIKELY(word.purging())) {
    if (!purge_in_progress()) {
      slice.swap(word, word.with_purging(false));
    } else {
      sys::yield();
    }
    word = slice.load();
  }
  return word;
}

// What a commit finds in its range.
struct Needed {
  int64_t pages = 0;       // to be charged
  int64_t reused = 0;      // cached by the same account
  int64_t refaulted = 0;   // reclaim had taken them
  bool touched = false;    // some of it may not be zero
};

bool owned_by_other(SliceWord word, const Account& account) {
  return word.owner() != 0 && word.owner() != account.id;
}

// Drops the contents of a slice's cached pages; false if some may remain.
bool drop_contents(SliceNumber number, uint32_t cached) {
  bool dropped = true;
  for (unsigned page = 0; page < kSlicePages; ++page) {
    if ((cached >> page & 1) == 0) continue;
    uintptr_t address = slice_address(number) + page * kPageSize;
    dropped &= sys::advise(reinterpret_cast<void*>(address), kPageSize,
                           MADV_DONTNEED) == 0;
  }
  return dropped;
}

// Cached pages of another account in a slice that is now this account's: no
// data goes between groups, and their owner is uncharged. (An inherited
// account's pages are the parent process's copies; they only change hands.)
// True if the pages are known to be zero now. REQUIRES: the slice is held.
bool evict_other(Slice& slice, SliceNumber number, SliceWord word) {
  Account& owner = *account_at(word.owner());
  if (owner.inherited.load(kRelaxed)) {
    slice.store(word.with_cached(0).with_owner(0).with_queued(false));
    return false;
  }
  bool zero = drop_contents(number, word.cached());
  int64_t pages = pages_in(word.cached());
  owner.cached_pages.fetch_sub(pages, kRelaxed);
  account_uncharge(owner, pages);
  count_stat(owner, Stat::kCached, -pages);
  count_stat(owner, Stat::kPurged, pages);
  count_stat(owner, Stat::kPgpgout, 1);
  count_stat(owner, Stat::kPageEvents, pages);
  // It stays in the other's stack until that is looked through.
  if (word.queued()) note_misplaced();
  slice.store(word.with_cached(0).with_owner(0));
  return zero;
}

// Takes hold of a slice that purging might touch, so that what was counted
// stays true until it is committed or let go.
SliceWord hold(Slice& slice) {
  SliceWord word = settled(slice);
  while (word.shared() && !word.held()) {
    if (slice.swap(word, word.with_held(true))) return word.with_held(true);
    if (word.purging()) word = settled(slice);
  }
  return word;
}

Needed count_needed(const SliceRange& range, const Account& account) {
  Needed needed;
  for (SliceNumber n = range.first(); n <= range.last(); ++n) {
    Slice& slice = *find_slice(n);
    const uint32_t mask = range.mask(n);
    SliceWord word = hold(slice);
    if (UMEMCG_UNLIKELY(owned_by_other(word, account))) {
      if (word.used() != 0) {  // its owner's, whoever commits: see write_owner
        needed.touched = true;
        continue;
      }
      if (word.cached() != 0) needed.touched |= !evict_other(slice, n, word);
      word = slice.load();
    }
    const uint32_t kept = mask & (word.used() | word.cached());
    needed.reused += pages_in(mask & word.cached());
    needed.pages += pages_in(mask & ~kept);
    if (word.refault()) needed.refaulted += pages_in(mask & ~kept);
    needed.touched |= kept != 0;
  }
  return needed;
}

// The failing end of a commit: what was held may be purged again.
void let_go(const SliceRange& range) {
  for (SliceNumber n = range.first(); n <= range.last(); ++n) {
    Slice& slice = *find_slice(n);
    SliceWord word = slice.load();
    if (word.held()) slice.store(word.with_held(false));
  }
}

// More of a slice that another account has in use: the pages are that
// account's, over its limit if need be (at most 15 pages a slice); an
// inherited one's stay uncharged, as all of its slice is.
void commit_for_owner(SliceWord word, uint32_t mask) {
  Account& owner = *account_at(word.owner());
  if (owner.inherited.load(kRelaxed)) return;
  int64_t fresh = pages_in(mask & ~(word.used() | word.cached()));
  int64_t reused = pages_in(mask & word.cached());
  if (fresh != 0) account_charge(owner, fresh);
  owner.cached_pages.fetch_sub(reused, kRelaxed);
  count_stat(owner, Stat::kUsed, fresh + reused);
  count_stat(owner, Stat::kCached, -reused);
}

void write_owner(const SliceRange& range, const Account& account) {
  for (SliceNumber n = range.first(); n <= range.last(); ++n) {
    Slice& slice = *find_slice(n);
    const uint32_t mask = range.mask(n);
    SliceWord word = slice.load();
    SliceWord next = word.with_used(word.used() | mask)
                         .with_cached(word.cached() & ~mask)
                         .with_refault(false)
                         .with_held(false);
    if (UMEMCG_LIKELY(word.used() == 0 || word.owner() == account.id)) {
      UMEMCG_DCHECK(word.owner() == 0 || word.owner() == account.id);
      slice.store(next.with_owner(account.id));
    } else {
      slice.store(next);
      commit_for_owner(word, mask);
    }
  }
}

void count_commit(Account& account, const Needed& needed) {
  if (needed.reused != 0) {
    account.cached_pages.fetch_sub(needed.reused, kRelaxed);
    count_stat(account, Stat::kCached, -needed.reused);
  }
  count_stat(account, Stat::kUsed, needed.pages + needed.reused);
  if (needed.pages == 0) return;
  count_stat(account, Stat::kPgpgin, 1);
  count_stat(account, Stat::kPageEvents, needed.pages);
  count_stat(account, Stat::kCommitted, needed.pages);
  if (needed.refaulted != 0) {
    count_stat(account, Stat::kRefault, needed.refaulted);
  }
}

void arm_record(Account& account, PageCounter* failed, int64_t pages) {
  ChargeRecord& record = t_charge_record;
  record.account = &account;
  record.failed = failed;
  record.pages = static_cast<uint32_t>(pages);
  record.saved_errno = errno;
  record.armed = true;
  errno = ENOMEM;
}

// The charge itself: what reclaim won for this request, then the stock and the
// counters, then cached pages of the subtree that is over its limit.
bool charge_pages(Account& account, int64_t pages) {
  if (pages > UINT32_MAX) return false;
  auto count = static_cast<uint32_t>(pages);
  if (UMEMCG_UNLIKELY(t_context.no_fail)) {
    account_charge(account, pages);
    return true;
  }
  uint32_t won = take_reservation(account, count);
  if (won == count) return true;
  PageCounter* failed = nullptr;
  if (UMEMCG_UNLIKELY(t_charge_record.armed)) {
    if (won != 0) account_uncharge(account, won);
    return false;
  }
  const uint32_t rest = count - won;
  while (UMEMCG_UNLIKELY(!try_charge(account, rest, &failed))) {
    uint32_t group = g_segment.group_of(failed);
    int64_t goal = rest > kChargeBatch ? rest : kChargeBatch;
    if (purge_cached_subtree(group, goal, PurgeReason::kReclaim) == 0) {
      if (won != 0) account_uncharge(account, won);
      arm_record(account, failed, pages);
      return false;
    }
  }
  return true;
}

// Strict mode: the pages become accessible only now, and the system may
// refuse.
bool system_grants(uintptr_t start, size_t size) {
  if (UMEMCG_LIKELY(!commit_protects.load(kRelaxed))) return true;
  return sys::protect(reinterpret_cast<void*>(start), size,
                      PROT_READ | PROT_WRITE) == 0;
}

// Cached pages of the same account were charged all along: taking them makes
// no new charge, so they are lent even while a refusal waits.
bool take_pages(const SliceRange& range, Account& account,
                const Needed& needed) {
  if (needed.pages != 0 && !charge_pages(account, needed.pages)) return false;
  if (UMEMCG_LIKELY(system_grants(range.start, range.end - range.start))) {
    return true;
  }
  if (needed.pages != 0) account_uncharge(account, needed.pages);  // cancel
  errno = ENOMEM;
  return false;
}

}  // namespace

void set_commit_protects(bool on) { commit_protects.store(on, kRelaxed); }

bool commit_pages(uintptr_t start, size_t size, bool* is_zero) {
  Account* account = current_account();
  UMEMCG_CHECK(account != nullptr);
  const SliceRange range{round_down(start, kPageSize),
                         round_up(start + size, kPageSize)};
  const Needed needed = count_needed(range, *account);
  if (UMEMCG_UNLIKELY(!take_pages(range, *account, needed))) {
    let_go(range);
    return false;
  }
  write_owner(range, *account);
  count_commit(*account, needed);
  if (is_zero != nullptr) *is_zero = !needed.touched;
  return true;
}

namespace {

// used -> cached for one slice. True if the slice must be pushed.
bool cache_slice(Slice& slice, uint32_t mask, uint32_t* owner,
                 int64_t* pages) {
  SliceWord word = settled(slice);
  uint32_t freed = mask & word.used();
  *owner = word.owner();
  if (freed == 0) return false;
  *pages += pages_in(freed);
  SliceWord next;
  bool push;
  do {
    if (word.purging()) word = settled(slice);
    push = !word.queued();
    next = word.with_used(word.used() & ~freed)
               .with_cached(word.cached() | freed)
               .with_queued(true);
    if (!word.shared()) {
      slice.store(next);
      return true;
    }
  } while (!slice.swap(word, next));
  return push;
}

// Freed pages of one account in a row, booked together.
struct FreedRun {
  Account* account = nullptr;
  int64_t pages = 0;
  SliceChain chain;

  void book() {
    if (account == nullptr || pages == 0) return;
    account->cached_pages.fetch_add(pages, kRelaxed);
    count_stat(*account, Stat::kUsed, -pages);
    count_stat(*account, Stat::kCached, pages);
    chain.push(*account);
    trim_shared_cache(*account);
  }
};

// An inherited page is the parent process's copy: nobody here is charged for
// it, so it is not kept.
void drop_inherited(const SliceRange& range, SliceNumber n, Slice& slice) {
  uintptr_t base = slice_address(n);
  uintptr_t from = range.start > base ? range.start : base;
  uintptr_t to = range.end < base + kSliceSize ? range.end : base + kSliceSize;
  sys::advise(reinterpret_cast<void*>(from), to - from, MADV_DONTNEED);
  SliceWord word = slice.load().with_used(slice.load().used() & ~range.mask(n))
                       .with_queued(false);
  if (word.used() == 0 && word.cached() == 0) word = word.with_owner(0);
  slice.store(word);
}

}  // namespace

void decommit_pages(uintptr_t start, size_t size) {
  const SliceRange range{round_up(start, kPageSize),
                         round_down(start + size, kPageSize)};
  if (range.start >= range.end) return;
  const auto now = static_cast<uint32_t>(sys::coarse_ms());
  FreedRun run;
  for (SliceNumber n = range.first(); n <= range.last(); ++n) {
    Slice& slice = *find_slice(n);
    SliceWord word = settled(slice);
    Account* owner = account_at(word.owner());
    if (owner == nullptr || (word.used() & range.mask(n)) == 0) continue;
    if (UMEMCG_UNLIKELY(owner->inherited.load(kRelaxed))) {
      drop_inherited(range, n, slice);
      continue;
    }
    if (run.account != owner) {
      run.book();
      run = FreedRun{};
      run.account = owner;
    }
    uint32_t id;
    if (cache_slice(slice, range.mask(n), &id, &run.pages)) {
      run.chain.add(n, slice, now);
    }
  }
  run.book();
}

void release_pages(uintptr_t start, size_t size) {
  const SliceRange range{start, round_up(start + size, kPageSize)};
  for (SliceNumber n = range.first(); n <= range.last(); ++n) {
    Slice* slice = find_slice(n);
    if (slice == nullptr) continue;
    SliceWord word = settled(*slice);
    uint32_t freed = range.mask(n) & word.used();
    Account* owner = account_at(word.owner());
    if (freed == 0 || owner == nullptr) continue;
    int64_t pages = pages_in(freed);
    word = word.with_used(word.used() & ~freed);
    if (word.used() == 0 && word.cached() == 0) word = word.with_owner(0);
    slice->store(word);
    if (owner->inherited.load(kRelaxed)) continue;
    account_uncharge(*owner, pages);
    count_stat(*owner, Stat::kUsed, -pages);
    count_stat(*owner, Stat::kPurged, pages);
    count_stat(*owner, Stat::kPageEvents, pages);
  }
}

}  // namespace umemcg
