// The way back: used -> cached, and memory that leaves as a whole.

#include "accounting/stat_line.h"
#include "alloc/cached.h"
#include "alloc/cached_stack.h"
#include "alloc/commit.h"
#include "alloc/page_range.h"
#include "base/sys.h"

namespace umemcg {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

// Freed pages of one account in a row, booked together.
class FreedRun {
 public:
  explicit FreedRun(uint32_t now_ms) : now_ms_(now_ms) {}
  ~FreedRun() { book(); }
  FreedRun(const FreedRun&) = delete;
  FreedRun& operator=(const FreedRun&) = delete;

  // The account of that id, of which pages follow.
  Account* of(uint32_t owner) {
    if (account_ == nullptr || account_->id != owner) {
      book();
      account_ = account_at(owner);
      all_used_ = SliceWord();
    }
    return account_;
  }

  // The account's pages are cached when freed: add_whole() may be used.
  void allow_whole() {
    const SliceWord owned = SliceWord().with_owner(account_->id);
    all_used_ = owned.with_used(kWholeSlice);
    all_cached_ = owned.with_cached(kWholeSlice).with_queued(true);
  }

  // used -> cached for a slice that is wholly used by the account of the run;
  // false if it is not that.
  bool add_whole(Slice& slice, SliceNumber number, SliceWord word) {
    if (word.with_queued(false) != all_used_) return false;
    pages_ += kSlicePages;
    slice.store(all_cached_);
    enqueue(slice, number, word.queued());
    return true;
  }

  // used -> cached.
  void add(Slice& slice, SliceNumber number, SliceWord word, uint32_t freed) {
    pages_ += pages_in(freed);
    slice.store(word.with_used(word.used() & ~freed)
                    .with_cached(word.cached() | freed)
                    .with_queued(true));
    enqueue(slice, number, word.queued());
  }

 private:
  void enqueue(Slice& slice, SliceNumber number, bool queued) {
    if (queued) {
      slice.cached_ms.store(now_ms_, kRelaxed);
    } else {
      chain_.add(number, slice, now_ms_);
    }
  }

  void book() {
    if (account_ == nullptr || pages_ == 0) return;
    account_->cached_pages.fetch_add(pages_, kRelaxed);
    count_stat(*account_, Stat::kUsed, -pages_);
    count_stat(*account_, Stat::kCached, pages_);
    chain_.push(*account_);
    pages_ = 0;
    chain_ = SliceChain();
  }

  uint32_t now_ms_;
  Account* account_ = nullptr;
  SliceWord all_used_;  // of the account; nothing matches it until allowed
  SliceWord all_cached_;
  int64_t pages_ = 0;
  SliceChain chain_;
};

// An inherited page is the parent process's copy: nobody here is charged for
// it, so it is not kept.
void drop_inherited(Slice& slice, SliceNumber number, SliceWord word,
                    uint32_t freed) {
  drop_contents(number, freed);
  word = word.with_used(word.used() & ~freed).with_queued(false);
  if (word.used() == 0 && word.cached() == 0) word = word.with_owner(0);
  slice.store(word);
}

}  // namespace

void decommit_pages(uintptr_t start, size_t size) {
  PageRange range(round_up(start, kPageSize),
                  round_down(start + size, kPageSize));
  if (range.start() >= range.end()) return;
  Account* freed_by = nullptr;
  range.enter();
  {
    FreedRun run(static_cast<uint32_t>(sys::coarse_ms()));
    range.for_each_slice([&](Slice& slice, SliceNumber n, uint32_t mask) {
      SliceWord word = settled(slice);
      const uint32_t freed = mask & word.used();
      if (freed == 0) return;  // never committed, or decommitted already
      if (mask == kWholeSlice && run.add_whole(slice, n, word)) return;
      Account* owner = run.of(word.owner());
      if (owner == nullptr) return;
      if (UMEMCG_UNLIKELY(owner->inherited.load(kRelaxed))) {
        drop_inherited(slice, n, word, freed);
        return;
      }
      run.add(slice, n, word, freed);
      run.allow_whole();
      freed_by = owner;
    });
  }
  range.leave();
  if (freed_by == nullptr) return;
  trim_shared_cache(*freed_by);
  decay_cached();
}

void release_pages(uintptr_t start, size_t size) {
  PageRange range(start, round_up(start + size, kPageSize));
  range.enter();
  range.for_each_slice([&](Slice& slice, SliceNumber, uint32_t mask) {
    SliceWord word = settled(slice);
    const uint32_t freed = mask & word.used();
    Account* owner = account_at(word.owner());
    if (freed == 0 || owner == nullptr) return;
    const int64_t pages = pages_in(freed);
    word = word.with_used(word.used() & ~freed);
    if (word.used() == 0 && word.cached() == 0) word = word.with_owner(0);
    slice.store(word);
    if (owner->inherited.load(kRelaxed)) return;
    account_uncharge(*owner, pages);
    count_stat(*owner, Stat::kUsed, -pages);
    count_stat(*owner, Stat::kPurged, pages);
    count_stat(*owner, Stat::kPageEvents, pages);
  });
  range.leave();
}

}  // namespace umemcg
