// Ranges given to mimalloc, the commit hook over them and the deferred-free
// callback: everything that a fact wants from alloc/, without alloc/.

#ifndef UMEMCG_TESTS_MIMALLOC_CONTRACT_RANGE_H_
#define UMEMCG_TESTS_MIMALLOC_CONTRACT_RANGE_H_

#include <mimalloc.h>

#include <cstddef>
#include <cstdint>

namespace umemcg {

constexpr size_t kKiB = 1024;
constexpr size_t kMiB = 1024 * kKiB;
constexpr size_t kGiB = 1024 * kMiB;
constexpr size_t kPageSize = 4 * kKiB;
constexpr size_t kSliceSize = 64 * kKiB;        // mimalloc's unit of an arena
constexpr size_t kRangeAlignment = 256 * kMiB;  // architecture.md

// One size for each way in which mimalloc finds a page.
constexpr size_t kSmall = 1000;          // many blocks in 64 KiB
constexpr size_t kMedium = 12 * 1000;    // many blocks in 512 KiB
constexpr size_t kLarge = 200 * 1000;    // several blocks in 4 MiB
constexpr size_t kSingleton = 3 * kMiB;  // a page of its own in a range
constexpr size_t kMapped = 300 * kMiB;   // a mapping of mimalloc's own

// The options which umemcg sets before the first allocation.
void SetOptions();

// One range with a hook that records every call.
struct Range {
  uintptr_t start = 0;
  size_t size = 0;
  mi_arena_id_t id = nullptr;
  bool registered = false;

  uintptr_t end() const { return start + size; }
  bool Contains(uintptr_t address) const;
  bool Contains(const void* pointer) const;
};

// Reserves address space (readable and writable, untouched) and registers it.
Range AddRange(size_t size);

// The same with memory of the caller's choice.
Range AddRangeAt(void* start, size_t size);

// Whether the hook accepts commits (true at first).
void AcceptCommits(bool accept);

// The hook accepts so many more and refuses what follows.
void AcceptNextCommits(int count);

// Whether it answers true to a decommit (true at first).
void AnswerDecommits(bool answer);

// Refuses everything which mimalloc could use for a block: commits of the hook,
// its own mappings of blocks, later steps of a page. Maps of 64 KiB stay
// allowed (PageMap.RefusedStepFailsTheMalloc says why).
void RefuseAll();
void AcceptAll();

// Run by the commit hook and by the forced callback after they have recorded
// the call; null for none.
using Action = void (*)();
void OnCommit(Action action);
void OnForcedCallback(Action action);

// Registers the deferred-free callback and the error handler; both record.
void RecordCallbacks();
void RecordErrors();

// Puts a mark into the event log.
void Mark();

// SetOptions, one range of 256 MiB, callback and error handler, all commits
// accepted and the thread's first malloc done: where most facts start.
Range StartWithOneRange();

}  // namespace umemcg

#endif  // UMEMCG_TESTS_MIMALLOC_CONTRACT_RANGE_H_
