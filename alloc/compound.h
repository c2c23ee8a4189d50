// UMEMCG_THP=1: huge pages, charged as compounds of 512 pages.
//
// A huge-page fault brings in 2 MiB at once, so in this mode the first commit
// in an aligned 2 MiB charges all of it to the committer: what it did not ask
// for becomes cached, charged and free, and later commits of the same account
// find it there. A compound is given back only whole, when none of its pages
// is in use. (Another account that commits in it takes over those slices, as
// ever; then it is a compound no more.)
//
// The rows of slices that a committer does not own are written here, so a
// commit that is not within whole compounds of its account has the gates of
// its chunks alone.
#pragma once

#include <cstdint>

#include "accounting/account.h"
#include "alloc/page_table.h"

namespace umemcg {

inline constexpr unsigned kCompoundSlices = 32;
inline constexpr size_t kCompoundSize = kCompoundSlices * kSliceSize;
inline constexpr int64_t kCompoundPages = kCompoundSize >> kPageShift;

// Set once, before the first range.
void set_compound_mode(bool on);
bool compound_mode();

// In compound mode: [start, start + size) is charged by compounds. Both are
// multiples of a chunk. REQUIRES: its rows are mapped, nothing is committed.
void allow_compounds(uintptr_t start, size_t size);

// Whether the slice is charged by compounds.
UMEMCG_FAST bool in_compounds(SliceNumber number) {
  return UMEMCG_UNLIKELY(compound_mode()) && chunk_gate(number).compounds();
}

// Whether all of [start, end) lies in whole compounds of the account, so that
// there is nothing beside it to charge. REQUIRES: the gates of its compounds.
bool in_whole_compounds(uintptr_t start, uintptr_t end, const Account& account);

// Pages beside [start, end) that have to be charged with it.
// REQUIRES (of both): the gates of its compounds, alone.
int64_t count_siblings(uintptr_t start, uintptr_t end, const Account& account);
// Makes them cached: in a whole compound they are given back with it, else
// each by itself. Called before the range itself is written.
void write_siblings(uintptr_t start, uintptr_t end, Account& account);

// Whether the compound around `number` is one account's, charged as a whole.
// REQUIRES: its gate.
bool in_whole_compound(SliceNumber number);

// Whether no page of the compound around `number` is in use or being purged.
// REQUIRES: its gate, alone.
bool compound_is_free(SliceNumber number);

// The account's compound around `number` is whole no more; what it still has
// cached there is queued. REQUIRES: its gate, alone.
void break_compound(Account& account, SliceNumber number);

}  // namespace umemcg
