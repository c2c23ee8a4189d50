// Prints where everything lies in a segment: tests/guard/layout.py compares
// it with the golden.
//
// PRINT_FIELDS takes a struct apart, so that it does not compile when a field
// is added and not named here. PageCounter's are private: an explicit
// instantiation may name them.

#include <algorithm>
#include <cinttypes>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <sstream>
#include <string>
#include <vector>

#include "accounting/group_table.h"
#include "accounting/layout.h"
#include "accounting/psi_average.h"
#include "accounting/segment.h"
#include "accounting/stock_word.h"

namespace umemcg {
namespace {

struct Row {
  std::string name;
  size_t offset;
  size_t size;
};

template <typename Object, typename Field>
size_t offset_in(const Object& object, const Field& field) {
  return static_cast<size_t>(reinterpret_cast<const char*>(&field) -
                             reinterpret_cast<const char*>(&object));
}

template <typename Object>
void print_rows(const char* type, std::vector<Row> rows) {
  std::printf("%s: %zu bytes, aligned to %zu\n", type, sizeof(Object),
              alignof(Object));
  std::ranges::sort(rows, {}, &Row::offset);
  for (const Row& row : rows) {
    std::printf("  %4zu %4zu %s\n", row.offset, row.size, row.name.c_str());
  }
}

// The words of what a macro was given: "a, b" is {"a", "b"}.
std::vector<std::string> split(std::string names) {
  std::ranges::replace(names, ',', ' ');
  std::istringstream words(names);
  std::vector<std::string> result;
  for (std::string word; words >> word;) result.push_back(word);
  return result;
}

template <typename Object, typename... Fields>
void print_fields(const char* type, const char* names, const Object& object,
                  const Fields&... fields) {
  std::vector<Row> rows;
  const std::vector<std::string> words = split(names);
  (rows.push_back(
       {words[rows.size()], offset_in(object, fields), sizeof(fields)}),
   ...);
  print_rows<Object>(type, rows);
}

#define PRINT_FIELDS(type, ...)                           \
  do {                                                    \
    static type row_;                                     \
    auto& [__VA_ARGS__] = row_;                           \
    print_fields(#type, #__VA_ARGS__, row_, __VA_ARGS__); \
  } while (false)

template <typename Enum, typename... Values>
void print_values(const char* type, const char* names, Values... values) {
  const std::vector<std::string> words = split(names);
  size_t next = 0;
  std::printf("%s: %zu bytes\n", type, sizeof(Enum));
  (std::printf("  %4d %s\n", static_cast<int>(values), words[next++].c_str()),
   ...);
}

#define PRINT_VALUES(type, ...)                           \
  do {                                                    \
    using enum type;                                      \
    print_values<type>(#type, #__VA_ARGS__, __VA_ARGS__); \
  } while (false)

#define PRINT_CONSTANT(name) \
  std::printf("%s 0x%" PRIx64 "\n", #name, static_cast<uint64_t>(name))

// The fields that explicit instantiations of Exposed have named.
std::vector<Row>& counter_rows() {
  static std::vector<Row> rows;
  return rows;
}

template <typename Field>
bool add_counter_row(const char* name, Field PageCounter::*field) {
  static PageCounter counter;
  counter_rows().push_back(
      {name, offset_in(counter, counter.*field), sizeof(Field)});
  return true;
}

template <typename Name, auto kField>
struct Exposed {
  static inline const bool kAdded = add_counter_row(Name::kText, kField);
};

#define EXPOSE(field)                            \
  struct Name_##field {                          \
    static constexpr const char* kText = #field; \
  };                                             \
  template struct Exposed<Name_##field, &PageCounter::field>

EXPOSE(usage_);
EXPOSE(min_usage_);
EXPOSE(low_usage_);
EXPOSE(children_min_usage_);
EXPOSE(children_low_usage_);
EXPOSE(watermark_);
EXPOSE(failcnt_);
EXPOSE(local_watermark_);
EXPOSE(max_);
EXPOSE(min_);
EXPOSE(low_);
EXPOSE(reserve_);
EXPOSE(emin_);
EXPOSE(elow_);
EXPOSE(parent_offset_);
EXPOSE(protection_);

void print_constants() {
  PRINT_CONSTANT(kMagic);
  PRINT_CONSTANT(kNameSize);
  PRINT_CONSTANT(kStockSlots);
  PRINT_CONSTANT(kMaxDepth);
  PRINT_CONSTANT(kRootGroup);
  PRINT_CONSTANT(kNone);
  PRINT_CONSTANT(kEvents);
  PRINT_CONSTANT(kStats);
  PRINT_CONSTANT(kAmounts);
  PRINT_CONSTANT(make_owner(1, 2));
  PRINT_CONSTANT(StockWord(1, 2).bits());
  PRINT_CONSTANT(StockWord(1, 2).drained().bits());
  PRINT_CONSTANT(kControllerMemory);
  PRINT_CONSTANT(PsiWord(1, true, 2).bits());
  PRINT_CONSTANT(kPsiShift);
  PRINT_CONSTANT(slot_lock_offset(1));
  PRINT_CONSTANT(family_lock_offset(1));
  PRINT_CONSTANT(hash_name(1, "a", 1));
}

void print_enums() {
  PRINT_VALUES(GroupState, kFree, kOnline, kOffline);
  PRINT_VALUES(ProcessState, kFree, kAttached, kOrphaned);
  PRINT_VALUES(OomPolicy, kFail, kKill, kCallback, kWait);
  PRINT_VALUES(ProcessFlag, kProcessExiting, kProcessVictim, kProcessShrinkers,
               kProcessWorker, kProcessStopped);
  PRINT_VALUES(Outcome, kFailed, kReserve, kForced, kKilled, kCallback,
               kWaited);
  PRINT_VALUES(Source, kCached, kHeap, kThreads, kStock, kDead, kProcesses,
               kShrinkers);
  PRINT_VALUES(Event, kLow, kHigh, kMax, kOom, kOomKill, kOomGroupKill,
               kSockThrottled);
  PRINT_VALUES(Stat, kUsed, kCached, kAnonThp, kPgpgin, kPgpgout, kPageEvents,
               kCommitted, kPurged, kCharged, kUncharged, kPgscan, kPgsteal,
               kRefault);
}

void print_structs() {
  PRINT_FIELDS(SegmentHeader, magic, version, reserved, total_bytes, groups,
               processes, ledgers, lines, group_offset, process_offset,
               ledger_offset, line_offset, bucket_offset, buckets, others_read,
               groups_high, processes_high, ledgers_high, lines_high,
               next_group_id, changing, recount_due, recount_not_before_ms,
               recount_pause_ms, generation, dying, free_hint, thresholds, gate,
               recounts, recounts_voided, pages_corrected, gate_closed_ns,
               gate_longest_ns, oom_lease, drain_lease, reclaim_seq, notify_seq,
               notify_waiters, peaks, release_agent);
  PRINT_FIELDS(PeakReader, process, generation, group, reserved, group_id,
               pages);
  print_rows<PageCounter>("PageCounter", counter_rows());
  PRINT_FIELDS(Group, memory, kmem, sock, state, parent, depth, next, children,
               ledgers, subtree_control, transient, max_depth, max_descendants,
               threads, processes, processes_total, id, high, refused_ms,
               pressed_ms, soft_limit, swap_high, swap_max, oom_policy,
               oom_wait_ms, oom_group, reclaim_seq, reclaim_acks, reclaim_ms,
               reclaim_pages, event_seq, event_waiters, thresholds, events,
               events_local, stat, sources, pressure, psi, refusals, name,
               freeze, notify_on_release, swappiness, memsw_max, waiting_ms);
  PRINT_FIELDS(SourceCounts, scanned, reclaimed, ns);
  PRINT_FIELDS(VmPressure, window, windows, listeners);
  PRINT_FIELDS(PsiGroup, lease, state, total_us, looked_us, averaged_us,
               averaged_total_us, average, disabled, triggers);
  PRINT_FIELDS(RefusalLog, count, passed, entries);
  PRINT_FIELDS(Refusal, sequence, time_ms, group_id, pid, thread, outcome,
               flags, request, limit, usage, cached, got, name);
  PRINT_FIELDS(ProcessSlot, state, pid, group, busy, start_time, pid_namespace,
               page_table, accounts, name, flags, reclaim_seen, reclaim_missed,
               ending_ms, forced, home, moved_to);
  PRINT_FIELDS(Ledger, owner, pages, kmem, sock, threads, stat);
  PRINT_FIELDS(StockLine, slots, reservation, reservation_ms, owner, thread,
               busy, object, stalled, stat_ledger, group, stat);
}

}  // namespace
}  // namespace umemcg

int main() {
  std::printf("kLayoutVersion %u\n", umemcg::kLayoutVersion);
  umemcg::print_constants();
  umemcg::print_enums();
  umemcg::print_structs();
}
