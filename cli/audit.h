// What a process has charged, held against what the kernel says is resident:
// from its mappings, and from its own page table, page by page.
//
//   resident = heap + inherited + anonymous + stacks + libraries + shared
//   charged  = heap + untouched + records
#pragma once

#include <cstdint>

#include "cli/sample.h"

namespace umemcg {

// Bytes. What moves while they are read is off by that.
struct ProcessAudit {
  int32_t pid = 0;
  // Why there are no figures: EACCES or EPERM (another user's, or ptrace is
  // restricted), ESRCH (it has ended, or is in another pid namespace), EINVAL
  // (it is just starting, or does not say where its page table is).
  int error = 0;
  int64_t charged = 0;
  int64_t resident = 0;  // of all its mappings: VmRSS
  // Resident memory by what it is. Heap: pages that the process's own page
  // table says are charged.
  int64_t heap = 0;
  int64_t inherited = 0;  // the same, charged by whom it was forked from
  int64_t anonymous = 0;  // other private memory: mmap, brk, .bss, records
  int64_t stacks = 0;
  int64_t libraries = 0;  // private mappings of files
  int64_t shared = 0;     // shared memory, the domain's file included
  // Charged, but not resident: charged ahead, committed but never touched, or
  // swapped out.
  int64_t untouched = 0;
  // Charged, but not by pages of the heap: the allocator's own records (to the
  // root group), which as far as they are resident are in `anonymous`, and
  // charges for objects (umemcg_charge).
  int64_t records = 0;
  // Resident, and charged to no group: all but the heap, files and what is
  // shared. Of the records, which are charged, it holds what is resident; how
  // much that is cannot be told, so it is that much too high at most.
  int64_t unaccounted() const { return anonymous + stacks; }
};

// REQUIRES: open_domain() has been called.
ProcessAudit audit_process(const ProcessSample& process);

}  // namespace umemcg
