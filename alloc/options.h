// mimalloc's options: what accounting hangs on, whatever MIMALLOC_* says.
#pragma once

namespace umemcg {

// Called in mimalloc's first mmap, which comes before the memory that
// MIMALLOC_RESERVE_* asks for: that would be an arena without our hook.
void forbid_startup_arenas();

// Before mimalloc's first arena: placement, commits and purges.
void set_options();

// Back to what they were: without a range mimalloc has to do as it likes.
void restore_options();

}  // namespace umemcg
