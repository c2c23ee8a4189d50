#include "accounting/page_counter.h"

#include <cerrno>

#include "base/check.h"
#include "base/fault_point.h"

namespace umemcg {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr auto kSeqCst = std::memory_order_seq_cst;

// Deeper trees do not exist; a cycle in a damaged segment ends here.
constexpr int kMaxLevels = 64;

// Instead of a usage: the level had no room.
constexpr int64_t kRefused = -1;

// Within this many pages (16 MiB) of a limit a charge never adds before it
// has looked: it goes up by compare-and-swap. Further away it adds, checks and
// undoes, which scales better. See docs/design.md, "Bounds".
constexpr int64_t kExactMargin = 4096;

constinit std::atomic<uintptr_t> link_window_low{0};
constinit std::atomic<uintptr_t> link_window_high{UINTPTR_MAX};

}  // namespace

void PageCounter::set_link_window(const void* low, const void* high) {
  link_window_low.store(reinterpret_cast<uintptr_t>(low), kRelaxed);
  link_window_high.store(reinterpret_cast<uintptr_t>(high), kRelaxed);
}

void PageCounter::init(PageCounter* parent, bool protection) {
  int64_t offset = 0;
  if (parent != nullptr) {
    offset = reinterpret_cast<char*>(parent) - reinterpret_cast<char*>(this);
  }
  parent_offset_.store(offset, kRelaxed);
  protection_.store(protection, kRelaxed);
  max_.store(kPageCounterMax, kRelaxed);
  for (auto* word : {&usage_, &min_usage_, &low_usage_, &children_min_usage_,
                     &children_low_usage_, &watermark_, &local_watermark_,
                     &min_, &low_, &reserve_, &emin_, &elow_}) {
    word->store(0, kRelaxed);
  }
  failcnt_.store(0, kRelaxed);
}

PageCounter* PageCounter::parent() const {
  int64_t offset = parent_offset_.load(kRelaxed);
  if (offset == 0) return nullptr;
  uintptr_t address =
      reinterpret_cast<uintptr_t>(this) + static_cast<uintptr_t>(offset);
  uintptr_t high = link_window_high.load(kRelaxed);
  if (address % kCacheSeparation != 0 ||
      address < link_window_low.load(kRelaxed) || address >= high ||
      high - address < sizeof(PageCounter)) {
    return nullptr;
  }
  return reinterpret_cast<PageCounter*>(address);
}

int64_t PageCounter::limit_of(Limit limit) const {
  // seq_cst: pairs with set_max(), see there.
  int64_t max = max_.load(kSeqCst);
  if (limit == Limit::kMax || max == kPageCounterMax) return max;
  return max + reserve_.load(kRelaxed);
}

namespace {
void raise(std::atomic<int64_t>& mark, int64_t usage) {
  int64_t seen = mark.load(kRelaxed);
  while (usage > seen && !mark.compare_exchange_weak(seen, usage, kRelaxed)) {
  }
}
}  // namespace

// What is not above the local watermark is not above the other, which is raised
// first: most charges look at one word.
void PageCounter::raise_watermark(int64_t usage) {
  if (UMEMCG_LIKELY(usage <= local_watermark())) return;
  raise(watermark_, usage);
  raise(local_watermark_, usage);
}

// min_usage is min(usage, min), low_usage likewise; the parent's sums follow
// by the difference. The exchange makes each difference counted once, whoever
// races. Two that race may store in the wrong order, so each looks at the usage
// again when it has stored: seq_cst makes the last to store see the last
// change. (The kernel leaves the older value until the next charge.)
void PageCounter::propagate_protected_usage(int64_t usage) {
  PageCounter* above = parent();
  if (above == nullptr) return;
  // A counter that keeps none itself has what the kernel's undo leaves there.
  const bool again = protection_.load(kRelaxed) != 0;
  auto propagate = [this, usage, again](std::atomic<int64_t>& own,
                                        int64_t setting,
                                        std::atomic<int64_t>& sum) {
    int64_t seen = usage;
    for (int tries = 0; tries < kMaxLevels; ++tries) {
      const int64_t now = seen < setting ? seen : setting;
      if (own.load(kSeqCst) == now) return;
      const int64_t before = own.exchange(now, kSeqCst);
      fault_point("between protected usage and the sum above");
      if (now != before) sum.fetch_add(now - before, kRelaxed);
      if (!again) return;
      seen = usage_.load(kSeqCst);
    }
  };
  propagate(min_usage_, min(), above->children_min_usage_);
  propagate(low_usage_, low(), above->children_low_usage_);
}

void PageCounter::charge(int64_t pages) {
  const bool protection = protection_.load(kRelaxed) != 0;
  int level = 0;
  for (PageCounter* c = this; c != nullptr && level < kMaxLevels;
       c = c->parent(), ++level) {
    int64_t usage = c->usage_.fetch_add(pages, kRelaxed) + pages;
    if (protection) c->propagate_protected_usage(usage);
    c->raise_watermark(usage);
    fault_point("between the levels of a forced charge");
  }
}

// Takes `pages` at this level if they fit, without ever storing a value above
// the limit.
int64_t PageCounter::charge_level_exactly(int64_t pages, Limit limit) {
  int64_t usage = usage_.load(kRelaxed);
  do {
    int64_t most = limit_of(limit);
    if (pages > most || usage > most - pages) return kRefused;
    // seq_cst: pairs with set_max(), see there.
  } while (
      !usage_.compare_exchange_weak(usage, usage + pages, kSeqCst, kRelaxed));
  if (UMEMCG_LIKELY(usage + pages <= limit_of(limit))) return usage + pages;
  // The limit was lowered between the look and the swap.
  cancel(pages);
  return kRefused;
}

// The usage after the charge, or kRefused.
int64_t PageCounter::charge_level(int64_t pages, Limit limit) {
  int64_t most = limit_of(limit);
  int64_t usage = usage_.load(kRelaxed);
  if (most != kPageCounterMax && usage + pages + kExactMargin > most) {
    return charge_level_exactly(pages, limit);
  }
  fault_point("between the look and the charge");
  // seq_cst: pairs with set_max(). Either this add is seen there, or the
  // limit stored there is seen here.
  usage = usage_.fetch_add(pages, kSeqCst) + pages;
  if (UMEMCG_LIKELY(usage <= limit_of(limit))) return usage;
  fault_point("above the limit");
  cancel(pages);
  return charge_level_exactly(pages, limit);
}

// The lowest level that has no room, by a read alone; or null. Charging the
// levels below it, only to undo that, could make a charge fail there that fits.
// What the kernel would leave of the attempt is left here too: the peaks, and
// what an undo does to protected usage where only some counters keep it.
PageCounter* PageCounter::level_without_room(int64_t pages, Limit limit) {
  int level = 0;
  PageCounter* full = this;
  for (; full != nullptr && level < kMaxLevels;
       full = full->parent(), ++level) {
    const int64_t most = full->limit_of(limit);
    if (pages > most || full->usage() > most - pages) break;
  }
  if (full == nullptr || level == kMaxLevels) return nullptr;
  for (PageCounter* c = this; level > 0 && c != nullptr;
       c = c->parent(), --level) {
    const int64_t usage = c->usage();
    const int64_t most = c->limit_of(limit);
    // Others may have charged since it was looked at: no peak above the limit.
    c->raise_watermark(usage + pages < most ? usage + pages : most);
    if (c->protection_.load(kRelaxed) != 0) {
      c->propagate_protected_usage(usage);
    } else if (protection_.load(kRelaxed) != 0) {
      c->propagate_protected_usage(usage + pages);
    }
  }
  return full;
}

bool PageCounter::try_charge(int64_t pages, PageCounter** failed, Limit limit,
                             bool count_failure) {
  PageCounter* full = level_without_room(pages, limit);
  if (UMEMCG_UNLIKELY(full != nullptr)) {
    if (count_failure) full->count_failure();
    *failed = full;
    return false;
  }
  const bool protection = protection_.load(kRelaxed) != 0;
  int level = 0;
  for (PageCounter* c = this; c != nullptr && level < kMaxLevels;
       c = c->parent(), ++level) {
    int64_t usage = c->charge_level(pages, limit);
    if (UMEMCG_UNLIKELY(usage == kRefused)) {
      if (count_failure) c->count_failure();
      *failed = c;
      // As many levels as were charged: in a damaged segment the way to `c`
      // may be a cycle, or another one by now.
      for (PageCounter* done = this; level > 0 && done != nullptr;
           done = done->parent(), --level) {
        fault_point("between the levels of an undo");
        done->undo(pages);
      }
      return false;
    }
    if (protection) c->propagate_protected_usage(usage);
    c->raise_watermark(usage);
    fault_point("between the levels of a charge");
  }
  return true;
}

void PageCounter::cancel(int64_t pages) {
  int64_t usage = usage_.fetch_sub(pages, kRelaxed) - pages;
  while (UMEMCG_UNLIKELY(usage < 0)) {
    UMEMCG_WARN_ONCE(
        "a page counter fell below 0: more pages were uncharged "
        "than charged; set to 0");
    if (usage_.compare_exchange_weak(usage, 0, kRelaxed)) break;
  }
}

void PageCounter::undo(int64_t pages) {
  cancel(pages);
  fault_point("between usage and protected usage");
  if (protection_.load(kRelaxed) != 0) propagate_protected_usage(usage());
}

void PageCounter::uncharge(int64_t pages) {
  int level = 0;
  for (PageCounter* c = this; c != nullptr && level < kMaxLevels;
       c = c->parent(), ++level) {
    c->undo(pages);
    fault_point("between the levels of an uncharge");
  }
}

// The race with a charge is closed as in the kernel. Both sides write, then
// read the other's word, all seq_cst: a charge that did not see the new limit
// had added before it was stored, so the second read here sees that usage
// grew, and the old limit comes back; then all is looked at again.
int PageCounter::set_max(int64_t pages) {
  for (;;) {
    int64_t usage = usage_.load(kSeqCst);
    if (usage > pages) return -EBUSY;
    int64_t before = max_.exchange(pages, kSeqCst);
    if (usage_.load(kSeqCst) <= usage || pages >= before) return 0;
    max_.store(before, kSeqCst);
  }
}

void PageCounter::store_max(int64_t pages) { max_.store(pages, kSeqCst); }

void PageCounter::set_reserve(int64_t pages) {
  reserve_.store(pages, kRelaxed);
}

void PageCounter::set_min(int64_t pages) {
  min_.store(pages, kRelaxed);
  int level = 0;
  for (PageCounter* c = this; c != nullptr && level < kMaxLevels;
       c = c->parent(), ++level) {
    c->propagate_protected_usage(c->usage());
  }
}

void PageCounter::set_low(int64_t pages) {
  low_.store(pages, kRelaxed);
  int level = 0;
  for (PageCounter* c = this; c != nullptr && level < kMaxLevels;
       c = c->parent(), ++level) {
    c->propagate_protected_usage(c->usage());
  }
}

void PageCounter::correct(int64_t usage_by, int64_t children_min_by,
                          int64_t children_low_by) {
  usage_.fetch_add(usage_by, kRelaxed);
  fault_point("within a correction");
  children_min_usage_.fetch_add(children_min_by, kRelaxed);
  children_low_usage_.fetch_add(children_low_by, kRelaxed);
  propagate_protected_usage(usage());
}

void PageCounter::reset_watermark() {
  const int64_t now = usage();
  local_watermark_.store(now, kRelaxed);
  watermark_.store(now, kRelaxed);
}

int64_t PageCounter::reset_local_watermark() {
  // release: who sees the new one sees what was done with the old one before.
  return local_watermark_.exchange(usage(), std::memory_order_acq_rel);
}

}  // namespace umemcg
