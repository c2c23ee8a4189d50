// mmap, munmap, mprotect and madvise of this program: they record who called
// and then ask the kernel. libmimalloc's own calls bind to them as they will
// bind to shim/'s, and a fact can put an answer of its own in the place of
// mmap's and mprotect's.

#ifndef UMEMCG_TESTS_MIMALLOC_CONTRACT_OS_CALLS_H_
#define UMEMCG_TESTS_MIMALLOC_CONTRACT_OS_CALLS_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "tests/mimalloc_contract/event_log.h"

namespace umemcg {

// As mmap(2) of anonymous memory; MAP_FAILED and errno for a refusal.
using MmapFunction = void* (*)(void* address, size_t size, int prot, int flags);
// As mprotect(2).
using MprotectFunction = int (*)(void* address, size_t size, int prot);

// Used for calls that come from libmimalloc's text; null = the kernel's.
void SetMimallocMmap(MmapFunction function);
void SetMimallocMprotect(MprotectFunction function);

// The kernel's, unrecorded.
void* RawMmap(void* address, size_t size, int prot, int flags);
int RawMunmap(void* address, size_t size);
int RawMprotect(void* address, size_t size, int prot);

// Is the address in libmimalloc's text? Takes no lock.
bool IsInMimalloc(uintptr_t address);

// A private anonymous range that nobody is told of. Never freed.
void* ReserveAligned(size_t size, size_t alignment, int prot);

// Answers for SetMimallocMmap.
//
// Aligned to 256 MiB, readable and writable: shim/'s answer.
void* MmapAligned256MiB(void* address, size_t size, int prot, int flags);

// 64 KiB above a multiple of 256 MiB, readable and writable.
void* MmapAligned64KiB(void* address, size_t size, int prot, int flags);

// ENOMEM for everything.
void* MmapRefuse(void* address, size_t size, int prot, int flags);

// ENOMEM for everything but page-map steps (64 KiB, readable and writable).
void* MmapRefuseBlocks(void* address, size_t size, int prot, int flags);

// Answers for SetMimallocMprotect.
int MprotectRefuse(void* address, size_t size, int prot);
int MprotectNothing(void* address, size_t size, int prot);  // "done", undone

}  // namespace umemcg

#endif  // UMEMCG_TESTS_MIMALLOC_CONTRACT_OS_CALLS_H_
