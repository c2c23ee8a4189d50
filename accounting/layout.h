// What lies in a segment, and where. Every process of a domain maps it, at any
// address, so nothing here holds a pointer: tables are found by the offsets in
// the header, rows by index. A change of anything in this file is a new
// kLayoutVersion (tests/guard/layout.golden says so when it is forgotten).
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "accounting/event.h"
#include "accounting/page_counter.h"
#include "accounting/stat.h"

namespace umemcg {

inline constexpr uint64_t kMagic = 0x676d656d752d3130;  // "01-umemg"
inline constexpr uint32_t kLayoutVersion = 1;

inline constexpr size_t kNameSize = 256;  // 255 bytes and the NUL
inline constexpr int kStockSlots = 7;
inline constexpr int kMaxDepth = 32;
inline constexpr uint32_t kRootGroup = 0;
inline constexpr uint32_t kNone = UINT32_MAX;

struct SegmentHeader {
  // Stored last by the creator, with release; loaded first, with acquire.
  std::atomic<uint64_t> magic;
  uint32_t version;
  uint32_t reserved;
  uint64_t total_bytes;
  uint32_t groups;
  uint32_t processes;
  uint32_t ledgers;
  uint32_t lines;
  uint64_t group_offset;
  uint64_t process_offset;
  uint64_t ledger_offset;
  uint64_t line_offset;
  // One past the highest row ever used: scans stop there.
  alignas(kCacheSeparation) std::atomic<uint32_t> groups_high;
  std::atomic<uint32_t> processes_high;
  std::atomic<uint32_t> ledgers_high;
  std::atomic<uint32_t> lines_high;
  std::atomic<uint64_t> next_group_id;
};

enum class GroupState : uint32_t { kFree, kOnline };

// A group: struct mem_cgroup.
struct alignas(kCacheSeparation) Group {
  PageCounter memory;
  std::atomic<GroupState> state;
  std::atomic<uint32_t> parent;  // kNone for the root
  std::atomic<uint32_t> depth;
  // Threads with a stock, and processes, in the subtree.
  std::atomic<uint32_t> threads;
  std::atomic<uint32_t> processes;
  std::atomic<uint32_t> processes_total;  // ever attached
  std::atomic<uint64_t> id;
  std::atomic<int64_t> high;         // pages
  std::atomic<uint64_t> refused_ms;  // coarse time of the last refusal
  std::atomic<uint64_t> events[kEvents];
  std::atomic<uint64_t> events_local[kEvents];
  StatArray stat;  // counts of threads and processes that ended
  char name[kNameSize];
};

enum class ProcessState : uint32_t { kFree, kAttached };

struct alignas(64) ProcessSlot {
  std::atomic<ProcessState> state;
  std::atomic<int32_t> pid;
  std::atomic<uint32_t> group;  // where its new charges go
  uint32_t reserved;
  char name[32];
};

// What one process has charged to one group: pages on the group's counter
// (used, cached and in stock), so that they can be given back when it dies.
struct alignas(64) Ledger {
  // process slot + 1 in the high half, group + 1 in the low; 0 is free.
  std::atomic<uint64_t> owner;
  std::atomic<int64_t> pages;
  StatArray stat;
};

// A thread's own line: its charge stock and its statistics. A slot of the
// stock is one word, {ledger + 1, pages}: the owner consumes from it, and any
// thread of any process may take it whole with one exchange.
struct alignas(kCacheSeparation) StockLine {
  std::atomic<uint64_t> slots[kStockSlots];
  // Pages that a reclaim has won for the allocation that waits for them: a
  // word like a slot's, which others leave alone until it is stale.
  std::atomic<uint64_t> reservation;
  std::atomic<uint64_t> reservation_ms;
  std::atomic<uint32_t> owner;  // process slot + 1; 0 is free
  std::atomic<int32_t> thread;  // thread id, for people
  alignas(kCacheSeparation) std::atomic<uint32_t> stat_ledger;  // + 1; 0 none
  std::atomic<uint32_t> group;  // + 1: counted in Group::threads; 0 none
  StatArray stat;
};

static_assert(sizeof(StockLine) == 2 * kCacheSeparation);
static_assert(sizeof(Ledger) == 128);

constexpr uint64_t make_owner(uint32_t process, uint32_t group) {
  return (uint64_t{process} + 1) << 32 | (uint64_t{group} + 1);
}
constexpr uint32_t owner_process(uint64_t owner) {
  return static_cast<uint32_t>(owner >> 32) - 1;
}
constexpr uint32_t owner_group(uint64_t owner) {
  return static_cast<uint32_t>(owner) - 1;
}

}  // namespace umemcg
