#include "tests/mimalloc_contract/range.h"

#include <sys/mman.h>

#include <atomic>
#include <limits>

#include "tests/mimalloc_contract/event_log.h"
#include "tests/mimalloc_contract/fact.h"
#include "tests/mimalloc_contract/os_calls.h"

namespace umemcg {
namespace {

constexpr int kAll = std::numeric_limits<int>::max();

constinit std::atomic<int> commits_left{kAll};
constinit int hook_argument = 0;
constinit std::atomic<bool> answer_to_decommits{true};
constinit std::atomic<Action> on_commit{nullptr};
constinit std::atomic<Action> on_forced_callback{nullptr};

bool TakeCommit() {
  int left = commits_left.load(std::memory_order_relaxed);
  while (left != 0 && left != kAll &&
         !commits_left.compare_exchange_weak(left, left - 1,
                                             std::memory_order_relaxed)) {
  }
  return left != 0;
}

bool Hook(bool commit, void* start, size_t size, bool* is_zero,
          void* argument) {
  EXPECT(argument == &hook_argument, "the hook's argument is %p", argument);
  const bool answer = commit
                          ? TakeCommit()
                          : answer_to_decommits.load(std::memory_order_relaxed);
  Log({.kind = commit ? EventKind::kCommit : EventKind::kDecommit,
       .ok = answer,
       .value = is_zero != nullptr,
       .start = reinterpret_cast<uintptr_t>(start),
       .size = size});
  const Action action = on_commit.load(std::memory_order_relaxed);
  if (commit && action != nullptr) {
    action();
  }
  return answer;
}

void Callback(bool force, unsigned long long, void*) {
  Log({.kind = EventKind::kCallback, .ok = force});
  const Action action = on_forced_callback.load(std::memory_order_relaxed);
  if (force && action != nullptr) {
    action();
  }
}

void ErrorHandler(int error, void*) {
  Log({.kind = EventKind::kError, .value = error});
}

}  // namespace

void SetOptions() {
  mi_option_set(mi_option_arena_reserve, 0);
  mi_option_set(mi_option_purge_delay, 0);
  mi_option_set(mi_option_page_commit_on_demand, 1);
  mi_option_set(mi_option_show_errors, 0);
}

bool Range::Contains(uintptr_t address) const {
  return address >= start && address < end();
}

bool Range::Contains(const void* pointer) const {
  return Contains(reinterpret_cast<uintptr_t>(pointer));
}

Range AddRange(size_t size) {
  return AddRangeAt(
      ReserveAligned(size, kRangeAlignment, PROT_READ | PROT_WRITE), size);
}

Range AddRangeAt(void* start, size_t size) {
  Range range = {.start = reinterpret_cast<uintptr_t>(start), .size = size};
  range.registered =
      mi_manage_memory(start, size, /*is_committed=*/false, /*is_pinned=*/false,
                       /*is_zero=*/true, /*numa_node=*/-1, /*exclusive=*/false,
                       &Hook, &hook_argument, &range.id);
  return range;
}

void AcceptCommits(bool accept) { AcceptNextCommits(accept ? kAll : 0); }

void AcceptNextCommits(int count) {
  commits_left.store(count, std::memory_order_relaxed);
}

void AnswerDecommits(bool answer) {
  answer_to_decommits.store(answer, std::memory_order_relaxed);
}

void RefuseAll() {
  AcceptCommits(false);
  SetMimallocMmap(&MmapRefuseBlocks);
  SetMimallocMprotect(&MprotectRefuse);
}

void AcceptAll() {
  AcceptCommits(true);
  SetMimallocMmap(nullptr);
  SetMimallocMprotect(nullptr);
}

void OnCommit(Action action) {
  on_commit.store(action, std::memory_order_relaxed);
}

void OnForcedCallback(Action action) {
  on_forced_callback.store(action, std::memory_order_relaxed);
}

void RecordCallbacks() { mi_register_deferred_free(&Callback, nullptr); }

void RecordErrors() { mi_register_error(&ErrorHandler, nullptr); }

void Mark() { Log({.kind = EventKind::kMark}); }

Range StartWithOneRange() {
  SetOptions();
  const Range range = AddRange(256 * kMiB);
  RecordCallbacks();
  RecordErrors();
  mi_free(mi_malloc(16));
  Mark();
  return range;
}

}  // namespace umemcg
