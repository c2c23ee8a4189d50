// What mimalloc asked for, in the order in which it asked: hook calls,
// callbacks, error reports and its own system calls, in one list.
//
// Thread safety: Log() may be called from any thread and from inside mimalloc;
// it allocates nothing. The readers want the writers to be quiet.
// The list is constant-initialised: libmimalloc's constructor, which runs
// before ours, is recorded too.

#ifndef UMEMCG_TESTS_MIMALLOC_CONTRACT_EVENT_LOG_H_
#define UMEMCG_TESTS_MIMALLOC_CONTRACT_EVENT_LOG_H_

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <span>

namespace umemcg {

enum class EventKind : uint8_t {
  kMark,      // a line between two steps of a fact
  kCommit,    // commit hook, commit = true
  kDecommit,  // commit hook, commit = false
  kCallback,  // deferred-free callback; ok = force
  kError,     // registered error handler
  kMmap,
  kMunmap,
  kMprotect,
  kMadvise,
};

struct Event {
  EventKind kind = EventKind::kMark;
  bool ok = false;     // hook's answer; success of a system call; force
  int value = 0;       // prot, advice or errno; for a commit: is_zero given
  int flags = 0;       // mmap's
  pid_t tid = 0;       // filled in by Log()
  uintptr_t from = 0;  // the return address of a system call
  uintptr_t hint = 0;  // the address that mmap was asked for
  uintptr_t start = 0;
  size_t size = 0;

  uintptr_t end() const { return start + size; }
};

void Log(const Event& event);

std::span<const Event> Events();

// Events after the last mark.
std::span<const Event> RecentEvents();

// Forgets all events.
void ClearEvents();

// Writes the last events to stderr: what a failing fact shows.
void PrintEvents();

size_t Count(std::span<const Event> events, EventKind kind);
size_t SumOfSizes(std::span<const Event> events, EventKind kind);

// Null if there is none.
const Event* First(std::span<const Event> events, EventKind kind);
const Event* Last(std::span<const Event> events, EventKind kind);

}  // namespace umemcg

#endif  // UMEMCG_TESTS_MIMALLOC_CONTRACT_EVENT_LOG_H_
