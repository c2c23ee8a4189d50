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
#include "accounting/psi.h"
#include "accounting/refusal.h"
#include "accounting/source.h"
#include "accounting/stat.h"
#include "accounting/vmpressure.h"

namespace umemcg {

inline constexpr uint64_t kMagic = 0x676d656d752d3130;  // "01-umemg"
inline constexpr uint32_t kLayoutVersion = 4;

inline constexpr size_t kNameSize = 256;  // 255 bytes and the NUL
inline constexpr int kStockSlots = 7;
inline constexpr int kMaxDepth = 32;
inline constexpr uint32_t kRootGroup = 0;
inline constexpr uint32_t kMostGroups = 1u << 20;
inline constexpr uint32_t kNone = UINT32_MAX;

// An open file of memory.peak (peak.h).
inline constexpr uint32_t kPeakReaders = 256;
struct PeakReader {
  std::atomic<uint32_t> process;     // + 1: whose it is; 0 is free
  std::atomic<uint32_t> generation;  // of this row
  std::atomic<uint32_t> group;
  std::atomic<uint32_t> reserved;
  std::atomic<uint64_t> group_id;  // the row may be another group's by now
  std::atomic<int64_t> pages;  // the peak since it began anew; -1: it has not
};

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
  uint64_t bucket_offset;  // of name hashes: `buckets` chains of groups
  uint32_t buckets;
  std::atomic<uint32_t> others_read;  // 1: where it is mounted (cli/mount/)
  // One past the highest row ever used: scans stop there.
  alignas(kCacheSeparation) std::atomic<uint32_t> groups_high;
  std::atomic<uint32_t> processes_high;
  std::atomic<uint32_t> ledgers_high;
  std::atomic<uint32_t> lines_high;
  std::atomic<uint64_t> next_group_id;
  // Somebody is in the middle of changing the tree or reaping; found set by
  // who takes the lock next, its holder died there (see tree_change.h).
  std::atomic<uint32_t> changing;
  // A recount is owed: one could not be finished (recount.h).
  std::atomic<uint32_t> recount_due;
  // When the next recount may be tried after one was voided (coarse time), and
  // the pause before that.
  std::atomic<uint64_t> recount_not_before_ms;
  std::atomic<uint64_t> recount_pause_ms;
  // Raised when groups are removed, processes moved or controllers switched:
  // processes look through their accounts then.
  std::atomic<uint32_t> generation;
  std::atomic<uint32_t> dying;       // groups that are offline, not yet free
  std::atomic<uint32_t> free_hint;   // no group's row below this one is free
  std::atomic<uint32_t> thresholds;  // of some group are listened to (notify.h)
  // The recount gate (gate.h).
  alignas(kCacheSeparation) std::atomic<uint64_t> gate;
  std::atomic<uint64_t> recounts;         // finished
  std::atomic<uint64_t> recounts_voided;  // given up: a charger went on
  std::atomic<uint64_t> pages_corrected;  // drift that they found
  std::atomic<uint64_t> gate_closed_ns;   // in all
  std::atomic<uint64_t> gate_longest_ns;
  // One at a time in the domain (lease.h): out of memory, draining all stocks.
  alignas(kCacheSeparation) std::atomic<uint64_t> oom_lease;
  std::atomic<uint64_t> drain_lease;
  // Goes up when some group asks its processes to reclaim
  // (Group::reclaim_seq); they look at it at slow paths, workers wait for it.
  std::atomic<uint32_t> reclaim_seq;
  // Goes up when there may be something to tell (notify.h); a futex.
  std::atomic<uint32_t> notify_seq;
  std::atomic<uint32_t> notify_waiters;  // 1: some worker may sleep
  PeakReader peaks[kPeakReaders];
  // Of cgroup v1, kept for whoever reads it: umemcg runs no program. Changed
  // under the segment's lock.
  std::atomic<char> release_agent[kNameSize];
};

// kOffline: removed, but something still refers to the row.
enum class GroupState : uint32_t { kFree, kOnline, kOffline };

// Which controllers a group hands to its children (subtree_control).
inline constexpr uint32_t kControllerMemory = 1u << 0;

// What happens when nothing can be reclaimed: memory.oom.policy.
enum class OomPolicy : uint32_t { kFail, kKill, kCallback, kWait };
inline constexpr int kOomPolicies = 4;

// A group: struct mem_cgroup.
struct alignas(kCacheSeparation) Group {
  PageCounter memory;
  // Of the pages in `memory`: what is charged as kmem and sock.
  PageCounter kmem;
  PageCounter sock;
  std::atomic<GroupState> state;
  std::atomic<uint32_t> parent;  // kNone for the root
  std::atomic<uint32_t> depth;
  std::atomic<uint32_t> next;  // + 1: in its name's chain
  // What keeps the row from being used again: groups below (of any state), and
  // ledgers that name it.
  std::atomic<uint32_t> children;
  std::atomic<uint32_t> ledgers;
  std::atomic<uint32_t> subtree_control;
  // Made by a process for itself: removed with it.
  std::atomic<uint32_t> transient;
  std::atomic<uint32_t> max_depth;        // of groups below it; kNone: any
  std::atomic<uint32_t> max_descendants;  // kNone: any
  // (thread, group) pairs that may have a stock, and processes, in the subtree.
  std::atomic<uint32_t> threads;
  std::atomic<uint32_t> processes;
  std::atomic<uint32_t> processes_total;  // ever attached
  std::atomic<uint64_t> id;
  std::atomic<int64_t> high;         // pages
  std::atomic<uint64_t> refused_ms;  // coarse time of the last refusal
  // Coarse time of the last look before a refusal: nothing is charged ahead in
  // the subtree for a moment (stock/press.h).
  std::atomic<uint64_t> pressed_ms;
  std::atomic<int64_t> soft_limit;  // pages
  std::atomic<int64_t> swap_high;   // pages
  std::atomic<int64_t> swap_max;    // pages
  std::atomic<OomPolicy> oom_policy;
  std::atomic<uint32_t> oom_wait_ms;  // of OomPolicy::kWait
  std::atomic<uint32_t> oom_group;    // memory.oom.group
  // The processes of the subtree are asked to give pages back
  // (reclaim_request.h).
  std::atomic<uint32_t> reclaim_seq;
  std::atomic<uint32_t> reclaim_acks;  // requests that processes have served
  std::atomic<uint64_t> reclaim_ms;    // coarse time of the last request
  std::atomic<int64_t> reclaim_pages;  // wanted then
  // Goes up with each event here or below; a futex (event.h).
  std::atomic<uint32_t> event_seq;
  std::atomic<uint32_t> event_waiters;  // 1: somebody may wait for it
  std::atomic<uint32_t> thresholds;     // 1: listened to (notify.h)
  std::atomic<uint64_t> events[kEvents];
  std::atomic<uint64_t> events_local[kEvents];
  StatArray stat;  // counts of threads and processes that ended
  // What reclaim that this group's limit caused got from where.
  SourceCounts sources[kSources];
  VmPressure pressure;
  PsiGroup psi;
  RefusalLog refusals;
  char name[kNameSize];
  // kFrozen: those in it and below stand still (freezer.h).
  std::atomic<uint32_t> freeze;
  // By the names of cgroup v1. Nothing is swapped: the last two are only kept.
  std::atomic<uint32_t> notify_on_release;
  std::atomic<uint32_t> swappiness;
  std::atomic<int64_t> memsw_max;  // pages
  // Coarse time at which somebody waited for room here (OomPolicy::kWait); 0:
  // nobody does.
  std::atomic<uint64_t> waiting_ms;
};

// kOrphaned: it has ended, but children that it forked live on with what they
// inherited; its ledgers stay until they are gone.
enum class ProcessState : uint32_t { kFree, kAttached, kOrphaned };

// ProcessSlot::flags.
enum ProcessFlag : uint32_t {
  kProcessExiting = 1,    // exit() was called, or the program terminates
  kProcessVictim = 2,     // chosen to be killed: its charges are not refused
  kProcessShrinkers = 4,  // has registered some
  kProcessWorker = 8,     // has a worker, so it hears requests at any time
  kProcessStopped = 16,   // was stopped, as its group is frozen (freezer.h)
};

struct alignas(kCacheSeparation) ProcessSlot {
  std::atomic<ProcessState> state;
  std::atomic<int32_t> pid;     // in its own pid namespace
  std::atomic<uint32_t> group;  // where its new charges go
  // Threads without a line that are changing counters: see gate.h.
  std::atomic<uint32_t> busy;
  // For people, and for whoever sends a signal: when it started (clock ticks
  // since boot) and its pid namespace's inode.
  std::atomic<uint64_t> start_time;
  std::atomic<uint64_t> pid_namespace;
  // Where its page table and table of accounts lie in its memory, for `umemcg
  // smaps` (page_words.h); 0: not told.
  std::atomic<uint64_t> page_table;
  std::atomic<uint64_t> accounts;
  char name[32];
  std::atomic<uint32_t> flags;  // ProcessFlag
  // Requests to reclaim (SegmentHeader::reclaim_seq) that it has served.
  std::atomic<uint32_t> reclaim_seen;
  // A request to which it did not answer in time; it is not waited for again
  // until it answers.
  std::atomic<uint32_t> reclaim_missed;
  // Since when it is exiting or a victim (coarse time, its low half).
  std::atomic<uint32_t> ending_ms;
  // Pages charged over limits because it exits or is a victim.
  std::atomic<int64_t> forced;
  // Where it was told to begin, and was moved to (moved.h).
  std::atomic<uint64_t> home;
  std::atomic<uint64_t> moved_to;
};

// What one process has charged to one group, so that it can be given back when
// the process dies: pages on the group's counter (used, cached and in stock).
// What others took out of this process's stocks is still in `pages`, and stands
// in the stock's words as `given` (stock_word.h).
struct alignas(64) Ledger {
  // process slot + 1 in the high half, group + 1 in the low; 0 is free.
  std::atomic<uint64_t> owner;
  std::atomic<int64_t> pages;
  std::atomic<int64_t> kmem;
  std::atomic<int64_t> sock;
  std::atomic<uint32_t> threads;  // this process's part of Group::threads
  StatArray stat;
};

// A thread's own line: its charge stock and its statistics. A slot of the
// stock is one word (stock_word.h): the owner consumes from it, and any
// thread of any process may drain it with one compare-and-swap.
struct alignas(kCacheSeparation) StockLine {
  std::atomic<uint64_t> slots[kStockSlots];
  // Pages that a reclaim has won for the allocation that waits for them: a
  // word like a slot's, which others leave alone until it is stale.
  std::atomic<uint64_t> reservation;
  std::atomic<uint64_t> reservation_ms;
  std::atomic<uint32_t> owner;  // process slot + 1; 0 is free
  std::atomic<int32_t> thread;  // thread id, for people
  // Above 0 while the thread changes counters (gate.h).
  std::atomic<uint32_t> busy;
  // What is left of the page that the thread charged last for objects
  // (stock/obj_stock.h).
  std::atomic<uint64_t> object;
  // + 1: where the thread stands still for want of memory (psi.h).
  std::atomic<uint32_t> stalled;
  alignas(kCacheSeparation) std::atomic<uint32_t> stat_ledger;  // + 1; 0 none
  // + 1: what the thread was put into; 0: it follows its process.
  std::atomic<uint32_t> group;
  StatArray stat;
};

static_assert(sizeof(StockLine) == 2 * kCacheSeparation);
static_assert(sizeof(Ledger) == 192);
static_assert(sizeof(ProcessSlot) == kCacheSeparation);

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
