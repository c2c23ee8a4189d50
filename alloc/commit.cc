#include "alloc/commit.h"

#include <sys/mman.h>

#include <cerrno>

#include "accounting/stat_line.h"
#include "alloc/cached.h"
#include "alloc/compound.h"
#include "alloc/page_range.h"
#include "base/check.h"
#include "base/sys.h"
#include "stock/charge.h"
#include "stock/current.h"

namespace umemcg {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

constinit std::atomic<bool> commit_protects{false};

// What a commit finds in its range.
struct Needed {
  int64_t pages = 0;      // to be charged
  int64_t siblings = 0;   // to be charged beside them (alloc/compound.h)
  int64_t reused = 0;     // cached by the same account
  int64_t refaulted = 0;  // reclaim had taken them
  bool touched = false;   // some of it may not be zero

  int64_t charge() const { return pages + siblings; }
};

bool owned_by_other(SliceWord word, const Account& account) {
  return word.owner() != 0 && word.owner() != account.id;
}

// Cached pages of another account in a slice that is now this account's: no
// data goes between groups, and their owner is uncharged. (An inherited
// account's pages are the parent process's copies; they only change hands.)
// True if the pages are known to be zero now.
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
  if (in_compounds(number)) break_compound(owner, number);
  return zero;
}

Needed count_needed(const PageRange& range, const Account& account) {
  Needed needed;
  const SliceWord all_cached =
      SliceWord().with_owner(account.id).with_cached(kWholeSlice);
  range.for_each_slice([&](Slice& slice, SliceNumber n, uint32_t mask) {
    SliceWord word = slice.load();
    // What large blocks are made of, quickly.
    if (mask == kWholeSlice && word.with_queued(false) == all_cached) {
      needed.reused += kSlicePages;
      needed.touched = true;
      return;
    }
    if (mask == kWholeSlice && word == SliceWord()) {
      needed.pages += kSlicePages;
      return;
    }
    word = settled(slice);
    if (UMEMCG_UNLIKELY(owned_by_other(word, account))) {
      if (word.used() != 0) {  // its owner's, whoever commits: see write_owner
        needed.touched = true;
        return;
      }
      if (word.cached() != 0) needed.touched |= !evict_other(slice, n, word);
      word = slice.load();
    }
    const uint32_t kept = mask & (word.used() | word.cached());
    const int64_t fresh = pages_in(mask & ~kept);
    needed.reused += pages_in(mask & word.cached());
    needed.pages += fresh;
    if (word.refault()) needed.refaulted += fresh;
    needed.touched |= kept != 0;
  });
  return needed;
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

void write_owner(const PageRange& range, const Account& account) {
  const SliceWord all_used =
      SliceWord().with_owner(account.id).with_used(kWholeSlice);
  range.for_each_slice([&](Slice& slice, SliceNumber, uint32_t mask) {
    SliceWord word = slice.load();
    if (mask == kWholeSlice && word.used() == 0) {
      slice.store(all_used.with_marks_of(word));
      return;
    }
    SliceWord next = word.with_used(word.used() | mask)
                         .with_cached(word.cached() & ~mask)
                         .with_refault(false);
    if (UMEMCG_LIKELY(word.used() == 0 || word.owner() == account.id)) {
      UMEMCG_DCHECK(word.owner() == 0 || word.owner() == account.id);
      slice.store(next.with_owner(account.id));
    } else {
      slice.store(next);
      commit_for_owner(word, mask);
    }
  });
}

void count_commit(Account& account, const Needed& needed) {
  if (needed.reused != 0) {
    account.cached_pages.fetch_sub(needed.reused, kRelaxed);
    count_stat(account, Stat::kCached, -needed.reused);
  }
  count_stat(account, Stat::kUsed, needed.pages + needed.reused);
  const int64_t charge = needed.charge();
  if (charge == 0) return;
  count_stat(account, Stat::kPgpgin, 1);
  count_stat(account, Stat::kPageEvents, charge);
  count_stat(account, Stat::kCommitted, charge);
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
}

// The charge itself: what reclaim won for this request, then the stock and the
// counters. On a refusal *failed is the counter that refused, or null if the
// hook has to refuse without asking (a refusal waits for the slow half).
bool charge_pages(Account& account, int64_t pages, PageCounter** failed) {
  *failed = nullptr;
  if (pages > UINT32_MAX) return false;
  auto count = static_cast<uint32_t>(pages);
  if (UMEMCG_UNLIKELY(t_context.no_fail)) {
    account_charge(account, pages);
    return true;
  }
  uint32_t won = take_reservation(account, count);
  if (won == count) return true;
  bool charged =
      !t_charge_record.armed && try_charge(account, count - won, failed);
  if (UMEMCG_UNLIKELY(!charged && won != 0)) account_uncharge(account, won);
  return charged;
}

// Strict mode: the pages become accessible only now, and the system may
// refuse.
bool system_grants(const PageRange& range) {
  if (UMEMCG_LIKELY(!commit_protects.load(kRelaxed))) return true;
  return sys::protect(reinterpret_cast<void*>(range.start()), range.size(),
                      PROT_READ | PROT_WRITE) == 0;
}

// A refusal while one waits already: mimalloc did without the first, and wants
// something else now. The slow half reclaims for the larger.
void note_refusal(Account& account, PageCounter* failed, int64_t pages) {
  ChargeRecord& record = t_charge_record;
  if (failed != nullptr) {
    arm_record(account, failed, pages);
  } else if (record.armed && record.account == &account &&
             pages > record.pages && pages <= UINT32_MAX) {
    record.pages = static_cast<uint32_t>(pages);
  }
}

enum class Result { kDone, kRefused, kNoMemory };

// One attempt, within the gates. Cached pages of the same account were charged
// all along: taking them makes no new charge, so they are lent even while a
// refusal waits.
Result try_commit(PageRange& range, Account& account, bool compound,
                  Needed* needed, PageCounter** failed) {
  *needed = count_needed(range, account);
  if (UMEMCG_UNLIKELY(compound)) {
    needed->siblings = count_siblings(range.start(), range.end(), account);
  }
  const int64_t charge = needed->charge();
  if (charge != 0 && !charge_pages(account, charge, failed)) {
    return Result::kRefused;
  }
  if (UMEMCG_UNLIKELY(!system_grants(range))) {
    if (charge != 0) account_uncharge(account, charge);  // cancel
    return Result::kNoMemory;
  }
  if (UMEMCG_UNLIKELY(compound)) {
    write_siblings(range.start(), range.end(), account);
  }
  write_owner(range, account);
  count_commit(account, *needed);
  return Result::kDone;
}

// Within the gates of a range: among others, or alone where a commit has to
// write the rows of a compound's other slices.
class Entry {
 public:
  Entry(PageRange& range, const Account& account) : range_(range) {
    range_.enter();
    if (UMEMCG_LIKELY(!touches_compounds(account))) return;
    range_.leave();
    range_.enter_alone();
    alone_ = true;
  }
  // The allocator's own records are charged by pages.
  bool compounds() const { return alone_ && !t_context.no_fail; }
  void leave() { alone_ ? range_.leave_alone() : range_.leave(); }

 private:
  // Whether it may make, or break, a compound.
  bool touches_compounds(const Account& account) const {
    return in_compounds(slice_number(range_.start())) &&
           !in_whole_compounds(range_.start(), range_.end(), account);
  }

  PageRange& range_;
  bool alone_ = false;
};

// Cached pages of the subtree over its limit make room; not within the gates,
// or those of this very chunk would be out of reach.
bool make_room(PageCounter* failed, int64_t pages) {
  if (failed == nullptr) return false;
  int64_t goal = pages > kChargeBatch ? pages : kChargeBatch;
  return purge_cached_subtree(g_segment.group_of(failed), goal,
                              PurgeReason::kReclaim) > 0;
}

bool make_room_anywhere(size_t size) {
  return purge_cached_subtree(kRootGroup,
                              static_cast<int64_t>(size >> kPageShift),
                              PurgeReason::kReclaim) > 0;
}

// Something new was charged: whoever changed the tree may have moved the
// process. One load of a line that hardly ever changes.
void look_for_changes() {
  const auto& generation = g_segment.header().generation;
  if (UMEMCG_UNLIKELY(generation.load(kRelaxed) != t_context.tree)) {
    g_tree_changed_hook();
  }
}

}  // namespace

constinit Hook<void()> g_tree_changed_hook{[] {}};

void set_commit_protects(bool on) { commit_protects.store(on, kRelaxed); }

bool commit_pages(uintptr_t start, size_t size, bool* is_zero) {
  Account* account = current_account();
  UMEMCG_CHECK(account != nullptr);
  PageRange range(round_down(start, kPageSize),
                  round_up(start + size, kPageSize));
  for (;;) {
    Needed needed;
    PageCounter* failed = nullptr;
    Entry entry(range, *account);
    Result result =
        try_commit(range, *account, entry.compounds(), &needed, &failed);
    entry.leave();
    if (UMEMCG_LIKELY(result == Result::kDone)) {
      if (needed.charge() != 0) look_for_changes();
      if (is_zero != nullptr) *is_zero = !needed.touched;
      return true;
    }
    if (result == Result::kRefused && make_room(failed, needed.charge()))
      continue;
    // What is cached counts against the system's own limits too.
    if (result == Result::kNoMemory && make_room_anywhere(range.size())) {
      continue;
    }
    // What is cached here counts as well: it may be purged before the second
    // try. What that does not need of the reservation goes back.
    if (result == Result::kRefused) {
      note_refusal(*account, failed, needed.charge() + needed.reused);
    }
    return false;
  }
}

}  // namespace umemcg
