// Whether the tables of a segment fit together, for tests of the tree; and
// lines for threads of tests that have no stock/ to take one for them.
#pragma once

#include <map>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "accounting/gate.h"
#include "accounting/mem_cgroup.h"
#include "accounting/process.h"
#include "accounting/stat_line.h"
#include "accounting/stock_word.h"

#include "accounting/recount.h"
#include "base/sys.h"

namespace umemcg::test {

// A number below `most`.
inline uint32_t pick(std::mt19937& random, uint32_t most) {
  return static_cast<uint32_t>(random() % most);
}

// The row of a line that is known to be there.
inline StockLine& line_at(uint32_t index) {
  StockLine* line = g_segment.line(index);
  if (line == nullptr) throw std::out_of_range("no such line");
  return *line;
}

// The counts of a group that follow from other rows.
struct Counts {
  uint32_t children = 0, ledgers = 0, threads = 0, processes = 0;
};

inline void count_up(Segment& segment, std::vector<Counts>& counts,
                     uint32_t group, uint32_t Counts::*count, uint32_t by) {
  for (int level = 0; level <= kMaxDepth && group < counts.size(); ++level) {
    counts[group].*count += by;
    group = parent_group(segment, group);
  }
}

// What the tables of groups, ledgers and processes say, row by row.
inline std::vector<Counts> counts_of(Segment& segment) {
  std::vector<Counts> counts(segment.groups_used());
  for (uint32_t i = 1; i < counts.size(); ++i) {
    if (segment.group(i)->state == GroupState::kFree) continue;
    const uint32_t above = parent_group(segment, i);
    if (above < counts.size()) ++counts[above].children;
  }
  for (uint32_t i = 0; i < segment.ledgers_used(); ++i) {
    const Ledger& ledger = *segment.ledger(i);
    if (ledger.owner == 0) continue;
    const uint32_t group = owner_group(ledger.owner);
    if (group < counts.size()) ++counts[group].ledgers;
    count_up(segment, counts, group, &Counts::threads, ledger.threads);
  }
  for (uint32_t i = 0; i < segment.processes_used(); ++i) {
    const ProcessSlot& slot = *segment.process(i);
    if (slot.state != ProcessState::kAttached) continue;
    count_up(segment, counts, slot.group, &Counts::processes, 1);
  }
  return counts;
}

// How often each group stands in a chain of names.
inline std::map<uint32_t, int> linked_groups(Segment& segment) {
  std::map<uint32_t, int> linked;
  for (uint32_t i = 0; i < segment.bucket_count(); ++i) {
    uint32_t next = segment.bucket(i);
    for (uint32_t steps = 0; next != 0 && steps <= segment.group_count();
         ++steps) {
      ++linked[next - 1];
      const Group* group = segment.group(next - 1);
      next = group != nullptr ? group->next.load() : 0;
    }
  }
  return linked;
}

// What does not fit together; "" if everything does. Nobody may change the
// tables meanwhile.
inline std::string tree_faults(Segment& segment) {
  std::string faults;
  auto check = [&faults](uint32_t group, const char* what, uint64_t is,
                         uint64_t should_be) {
    if (is == should_be) return;
    faults += "group " + std::to_string(group) + ": " + what + " is " +
              std::to_string(is) + ", not " + std::to_string(should_be) + "\n";
  };
  const std::vector<Counts> counts = counts_of(segment);
  std::map<uint32_t, int> linked = linked_groups(segment);
  uint32_t dying = 0;
  for (uint32_t i = 0; i < counts.size(); ++i) {
    const Group& group = *segment.group(i);
    const GroupState state = group.state;
    dying += state == GroupState::kOffline;
    const bool named = state == GroupState::kOnline && i != kRootGroup;
    check(i, "times in chains", static_cast<uint64_t>(linked[i]), named);
    if (state == GroupState::kFree) continue;
    check(i, "children", group.children, counts[i].children);
    check(i, "ledgers", group.ledgers, counts[i].ledgers);
    check(i, "processes", group.processes, counts[i].processes);
    // What is left in the row of a group that is gone matters to nobody.
    if (state == GroupState::kOnline) {
      check(i, "threads", group.threads, counts[i].threads);
    }
    if (!named) continue;
    const uint32_t above = parent_group(segment, i);
    check(
        i, "its name",
        find_child(segment, above, group.name, strnlen(group.name, kNameSize)),
        i);
    check(i, "depth", group.depth, segment.group(above)->depth + 1);
  }
  check(kRootGroup, "the number of the dying", segment.header().dying, dying);
  return faults;
}

// Rows of groups that are not free, the root included.
inline uint32_t rows_in_use(Segment& segment) {
  uint32_t rows = 0;
  for (uint32_t i = 0; i < segment.groups_used(); ++i) {
    rows += segment.group(i)->state != GroupState::kFree;
  }
  return rows;
}

// Line `index` of g_segment, as the calling thread's in this scope.
class ThreadLine {
 public:
  explicit ThreadLine(uint32_t index) : line_(line_at(index)) {
    line_.owner.store(this_process() + 1, std::memory_order_release);
    auto& high = g_segment.header().lines_high;
    uint32_t seen = high.load();
    while (seen <= index && !high.compare_exchange_weak(seen, index + 1)) {
    }
    set_thread_line(&line_);
  }
  ~ThreadLine() {
    for (auto& slot : line_.slots) take(slot);
    take(line_.reservation);
    flush_stat_line(g_segment, line_);
    line_.stat_ledger = 0;
    line_.group = 0;
    set_thread_line(nullptr);
    line_.owner.store(0, std::memory_order_release);
  }
  ThreadLine(const ThreadLine&) = delete;
  ThreadLine& operator=(const ThreadLine&) = delete;

  StockLine& operator*() { return line_; }
  StockLine* operator->() { return &line_; }

 private:
  static void take(std::atomic<uint64_t>& slot) {
    ChargeSection section;  // a word is in no slot until it is settled
    settle_word(g_segment, StockWord(slot.exchange(0)));
  }

  StockLine& line_;
};

// The audit, when it can be had: a recount that chargers have voided on a busy
// machine is due for a while, and until then there is none.
inline int64_t audit_in_time(Segment& segment) {
  int64_t wrong = audit(segment);
  for (int i = 0; i < 300 && wrong < 0; ++i) {
    sys::sleep_ns(50'000'000);
    wrong = audit(segment);
  }
  return wrong;
}

}  // namespace umemcg::test
