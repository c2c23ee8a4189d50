// The system calls that mimalloc makes itself, seen through the interposed
// mmap, munmap and mprotect (shim/mmap.cc). Only calls whose return address
// lies in libmimalloc's text come here; a program's own pass by.
//
//   mprotect inside a range     a page grows on demand: a commit
//   mmap of a block             too large for a range, or aligned to 128 KiB
//                               and more: charged whole, at once
//   mmap of its records         charged to the root group
//   mmap of anything else       a range could serve it: refused, so that the
//                               callback makes room or adds a range
#pragma once

#include <cstddef>

namespace umemcg {

// Whether the address lies in libmimalloc's text.
bool in_allocator(const void* return_address);

// The calls, on behalf of the allocator: results as the system's, errno set.
void* allocator_mmap(void* hint, size_t size, int protection, int flags, int fd,
                     long offset);
int allocator_munmap(void* address, size_t size);
int allocator_mprotect(void* address, size_t size, int protection);

// From now on they are accounted; what was mapped before is charged now.
void account_own_maps();
// No longer: there is no range that could serve instead.
void forget_own_maps();

// The calling thread asks for a block with an alignment that mimalloc serves
// by a mapping of its own.
class OwnMapScope {
 public:
  OwnMapScope();
  ~OwnMapScope();
  OwnMapScope(const OwnMapScope&) = delete;
  OwnMapScope& operator=(const OwnMapScope&) = delete;

 private:
  const bool outer_;
};

// Bytes of the last mapping that was refused because a range should serve it;
// 0 if none was since the last call. Per thread. Puts errno back to what it was
// before the refusal.
size_t take_refused_map();

}  // namespace umemcg
