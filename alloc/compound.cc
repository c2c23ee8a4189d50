#include "alloc/compound.h"

#include "accounting/stat_line.h"
#include "alloc/cached.h"
#include "alloc/cached_stack.h"
#include "base/sys.h"

namespace umemcg {
namespace {

constexpr uint32_t kWholeSlice = (1u << kSlicePages) - 1;

constinit bool mode = false;

SliceNumber first_of(SliceNumber number) {
  return number & ~(kCompoundSlices - 1);
}

// Pages of slice n that are not in [start, end).
uint32_t outside(SliceNumber n, uintptr_t start, uintptr_t end) {
  uintptr_t at = slice_address(n);
  if (at >= end || at + kSliceSize <= start) return kWholeSlice;
  return kWholeSlice & ~page_mask(at, start, end);
}

// Calls function(slice, mask) for the slices of the range's compounds that
// have reserved pages outside of it which the account can take.
template <typename Function>
void for_each_sibling(uintptr_t start, uintptr_t end, const Account& account,
                      Function function) {
  const SliceNumber stop = slice_number(round_up(end, kCompoundSize) - 1) + 1;
  for (SliceNumber n = slice_number(round_down(start, kCompoundSize));
       n != stop; ++n) {
    Slice& slice = *find_slice(n);
    SliceWord word = settled(slice);
    bool free = word.owner() == 0 || word.owner() == account.id;
    uint32_t mask = outside(n, start, end) & ~(word.used() | word.cached());
    if (free && mask != 0) function(slice, mask);
  }
}

// Puts the account's cached slices of a compound that is not whole into its
// stack: each is given back by itself.
void queue_cached(Account& account, SliceNumber first) {
  const auto now = static_cast<uint32_t>(sys::coarse_ms());
  SliceChain chain;
  for (SliceNumber n = first; n != first + kCompoundSlices; ++n) {
    Slice& slice = *find_slice(n);
    SliceWord word = slice.load();
    if (word.owner() != account.id || word.cached() == 0 || word.queued() ||
        word.purging()) {
      continue;
    }
    slice.store(word.with_queued(true));
    chain.add(n, slice, now);
  }
  chain.push(account);
}

// A compound that nobody has yet will be whole.
void mark_fresh(uintptr_t start, uintptr_t end, Account& account) {
  for (uintptr_t at = round_down(start, kCompoundSize); at < end;
       at += kCompoundSize) {
    const SliceNumber first = slice_number(at);
    bool fresh = true;
    for (SliceNumber n = first; fresh && n != first + kCompoundSlices; ++n) {
      fresh = find_slice(n)->load().owner() == 0;
    }
    if (!fresh) continue;
    Slice& slice = *find_slice(first);
    slice.store(slice.load().with_compound(true));
    count_stat(account, Stat::kAnonThp, kCompoundPages);
  }
}

}  // namespace

void set_compound_mode(bool on) { mode = on; }
bool compound_mode() { return mode; }

void allow_compounds(uintptr_t start, size_t size) {
  if (!mode) return;
  const SliceNumber stop = slice_number(start + size - 1) + 1;
  for (SliceNumber n = slice_number(start); n < stop; n += kChunkSlices) {
    chunk_gate(n).allow_compounds();
  }
}

bool in_whole_compounds(uintptr_t start, uintptr_t end,
                        const Account& account) {
  for (uintptr_t at = round_down(start, kCompoundSize); at < end;
       at += kCompoundSize) {
    SliceWord word = find_slice(slice_number(at))->load();
    if (!word.compound() || word.owner() != account.id) return false;
  }
  return true;
}

int64_t count_siblings(uintptr_t start, uintptr_t end, const Account& account) {
  int64_t pages = 0;
  for_each_sibling(start, end, account, [&pages](Slice&, uint32_t mask) {
    pages += pages_in(mask);
  });
  return pages;
}

void write_siblings(uintptr_t start, uintptr_t end, Account& account) {
  mark_fresh(start, end, account);
  int64_t pages = 0;
  for_each_sibling(start, end, account, [&](Slice& slice, uint32_t mask) {
    SliceWord word = slice.load();
    slice.store(word.with_cached(word.cached() | mask).with_owner(account.id));
    pages += pages_in(mask);
  });
  account.cached_pages.fetch_add(pages, std::memory_order_relaxed);
  count_stat(account, Stat::kCached, pages);
  for (uintptr_t at = round_down(start, kCompoundSize); at < end;
       at += kCompoundSize) {
    const SliceNumber first = slice_number(at);
    if (!in_whole_compound(first)) queue_cached(account, first);
  }
}

bool in_whole_compound(SliceNumber number) {
  return in_compounds(number) &&
         find_slice(first_of(number))->load().compound();
}

bool compound_is_free(SliceNumber number) {
  const SliceNumber first = first_of(number);
  for (SliceNumber n = first; n != first + kCompoundSlices; ++n) {
    SliceWord word = find_slice(n)->load();
    if (word.used() != 0 || word.purging()) return false;
  }
  return true;
}

void break_compound(Account& account, SliceNumber number) {
  Slice& slice = *find_slice(first_of(number));
  SliceWord word = slice.load();
  if (!word.compound()) return;
  slice.store(word.with_compound(false));
  count_stat(account, Stat::kAnonThp, -kCompoundPages);
  queue_cached(account, first_of(number));
}

}  // namespace umemcg
