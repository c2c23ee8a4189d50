#include "accounting/recount.h"

#include <sys/mman.h>

#include "accounting/gate.h"
#include "accounting/mem_cgroup.h"
#include "accounting/psi.h"
#include "accounting/stock_word.h"
#include "accounting/tree_change.h"
#include "base/fault_point.h"
#include "base/sys.h"

namespace umemcg {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

// What a group's row says, or what the ledgers say of it.
struct Sums {
  int64_t pages;
  // Charged, less uncharged, less pages, of the group alone: 0 unless somebody
  // was killed between a page and its count.
  int64_t uncounted;
  int64_t kmem;
  int64_t sock;
  int64_t children_min;
  int64_t children_low;
  uint32_t ledgers;
  uint32_t threads;
  uint32_t processes;
  uint32_t stalled;

  bool same_pages(const Sums& other) const {
    return pages == other.pages && kmem == other.kmem && sock == other.sock;
  }
};

// Both, for every group: scratch memory, given back at the end.
class Tables {
 public:
  explicit Tables(uint32_t groups) : groups_(groups) {
    int error;
    // There before the gate is closed.
    rows_ = static_cast<Sums*>(sys::memory.map(
        nullptr, bytes(), PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0, &error));
  }
  ~Tables() {
    if (rows_ != nullptr) sys::unmap(rows_, bytes());
  }
  Tables(const Tables&) = delete;
  Tables& operator=(const Tables&) = delete;

  bool mapped() const { return rows_ != nullptr; }
  uint32_t groups() const { return groups_; }
  Sums& seen(uint32_t group) { return rows_[2 * group]; }
  Sums& truth(uint32_t group) { return rows_[2 * group + 1]; }
  // Of the groups in use.
  uint32_t deepest() const { return deepest_; }
  void note_depth(uint32_t depth) {
    if (depth > deepest_ && depth <= kMaxDepth) deepest_ = depth;
  }

 private:
  size_t bytes() const { return (size_t{groups_} + 1) * 2 * sizeof(Sums); }

  uint32_t groups_;
  uint32_t deepest_ = 0;
  Sums* rows_ = nullptr;
};

// The row of a group, or one that nobody reads.
Sums& truth_of(Tables& tables, uint32_t group) {
  return tables.truth(group < tables.groups() ? group : tables.groups());
}

// Each group's own sums become those of its subtree: from the leaves up, a
// level at a time.
void sum_up(Segment& segment, Tables& tables) {
  for (uint32_t depth = tables.deepest(); depth > 0; --depth) {
    for (uint32_t i = 0; i < tables.groups(); ++i) {
      const Group& group = *segment.group(i);
      if (group.depth.load(kRelaxed) != depth ||
          group.state.load(kRelaxed) == GroupState::kFree) {
        continue;
      }
      const Sums& own = tables.truth(i);
      Sums& above = truth_of(tables, parent_group(segment, i));
      above.pages += own.pages;
      above.kmem += own.kmem;
      above.sock += own.sock;
      above.threads += own.threads;
      above.processes += own.processes;
      above.stalled += own.stalled;
    }
  }
}

int64_t balance(const StatArray& stat) {
  return stat[static_cast<int>(Stat::kCharged)].load(kRelaxed) -
         stat[static_cast<int>(Stat::kUncharged)].load(kRelaxed);
}

void add_ledgers(Segment& segment, Tables& tables) {
  for (uint32_t i = 0; i < segment.ledgers_used(); ++i) {
    const Ledger& ledger = *segment.ledger(i);
    const uint64_t owner = ledger.owner.load(kRelaxed);
    if (owner == 0) continue;
    Sums& sums = truth_of(tables, owner_group(owner));
    sums.pages += ledger.pages.load(kRelaxed);
    sums.uncounted += balance(ledger.stat) - ledger.pages.load(kRelaxed);
    sums.kmem += ledger.kmem.load(kRelaxed);
    sums.sock += ledger.sock.load(kRelaxed);
    sums.threads += ledger.threads.load(kRelaxed);
    ++sums.ledgers;
  }
}

// What was drained is in the ledgers still. And who stands still, and where.
void add_lines(Segment& segment, Tables& tables) {
  auto subtract = [&](const std::atomic<uint64_t>& slot) {
    const StockWord word(slot.load(kRelaxed));
    if (word.given() == 0) return;
    Sums& sums = truth_of(tables, group_of_word(segment, word));
    sums.pages -= word.given();
    sums.uncounted += word.given();
  };
  for (uint32_t i = 0; i < segment.lines_used(); ++i) {
    const StockLine& line = *segment.line(i);
    if (line.owner.load(kRelaxed) == 0) continue;
    for (const auto& slot : line.slots) subtract(slot);
    subtract(line.reservation);
    const Ledger* ledger = segment.ledger(line.stat_ledger.load(kRelaxed) - 1);
    const uint64_t owner = ledger != nullptr ? ledger->owner.load(kRelaxed) : 0;
    if (owner != 0) {
      truth_of(tables, owner_group(owner)).uncounted += balance(line.stat);
    }
    const uint32_t stalled = line.stalled.load(kRelaxed);
    if (stalled != 0) ++truth_of(tables, stalled - 1).stalled;
  }
}

void add_processes(Segment& segment, Tables& tables) {
  for (uint32_t i = 0; i < segment.processes_used(); ++i) {
    const ProcessSlot& slot = *segment.process(i);
    // acquire: pairs with fill_slot() in process.cc.
    if (slot.state.load(std::memory_order_acquire) != ProcessState::kAttached)
      continue;
    ++truth_of(tables, slot.group.load(kRelaxed)).processes;
  }
}

void read_groups(Segment& segment, Tables& tables) {
  for (uint32_t i = 0; i < tables.groups(); ++i) {
    const Group& group = *segment.group(i);
    Sums& seen = tables.seen(i);
    seen.pages = group.memory.usage();
    seen.kmem = group.kmem.usage();
    seen.sock = group.sock.usage();
    seen.children_min = group.memory.children_min_usage();
    seen.children_low = group.memory.children_low_usage();
    seen.ledgers = group.ledgers.load(kRelaxed);
    seen.threads = group.threads.load(kRelaxed);
    seen.processes = group.processes.load(kRelaxed);
    seen.stalled = psi_stalled(group.psi);
    const bool used = group.state.load(kRelaxed) != GroupState::kFree;
    if (used) tables.note_depth(group.depth.load(kRelaxed));
    tables.truth(i).uncounted += balance(group.stat);
    const uint32_t above = used ? parent_group(segment, i) : kNone;
    if (above >= tables.groups()) continue;
    tables.truth(above).children_min += group.memory.min_usage();
    tables.truth(above).children_low += group.memory.low_usage();
  }
}

// Reads everything while nobody changes it; false if somebody did.
bool gather(Segment& segment, GateClosed& gate, Tables& tables) {
  if (!gate.wait_for_chargers()) return false;
  add_ledgers(segment, tables);
  add_lines(segment, tables);
  add_processes(segment, tables);
  read_groups(segment, tables);
  sum_up(segment, tables);
  return gate.still_closed();
}

int64_t magnitude(int64_t value) { return value < 0 ? -value : value; }

void count_missing(Group& group, int64_t uncounted) {
  const Stat stat = uncounted > 0 ? Stat::kUncharged : Stat::kCharged;
  group.stat[static_cast<int>(stat)].fetch_add(magnitude(uncounted), kRelaxed);
}

void apply(Segment& segment, Tables& tables, RecountResult& result) {
  for (uint32_t i = 0; i < tables.groups(); ++i) {
    Group& group = *segment.group(i);
    if (group.state.load(kRelaxed) == GroupState::kFree) continue;
    const Sums& seen = tables.seen(i);
    const Sums& truth = tables.truth(i);
    group.memory.correct(truth.pages - seen.pages,
                         truth.children_min - seen.children_min,
                         truth.children_low - seen.children_low);
    group.kmem.correct(truth.kmem - seen.kmem, 0, 0);
    group.sock.correct(truth.sock - seen.sock, 0, 0);
    fault_point("recounting: within a group");
    group.ledgers.fetch_add(truth.ledgers - seen.ledgers, kRelaxed);
    group.threads.fetch_add(truth.threads - seen.threads, kRelaxed);
    group.processes.fetch_add(truth.processes - seen.processes, kRelaxed);
    psi_correct(segment, i, static_cast<int>(truth.stalled - seen.stalled));
    count_missing(group, truth.uncounted);
    // (An offline group's own counter is what is left of it.)
    if (!truth.same_pages(seen) && group_online(segment, i)) {
      ++result.groups;
      if (i == kRootGroup) result.pages += magnitude(truth.pages - seen.pages);
    }
  }
}

}  // namespace

RecountResult recount(Segment& segment) {
  RecountResult result;
  SegmentHeader& header = segment.header();
  header.recount_due.store(1, kRelaxed);
  Tables tables(segment.groups_used());
  if (!tables.mapped()) return result;
  const uint64_t since = sys::monotonic_ns();
  {
    GateClosed gate(segment);
    // What makes one due from here on, the next will see.
    header.recount_due.store(0, kRelaxed);
    result.done = gather(segment, gate, tables);
    fault_point("recounting: the gate is closed");
    if (result.done) apply(segment, tables, result);
  }
  result.closed_ns = sys::monotonic_ns() - since;
  if (result.done) {
    header.recounts.fetch_add(1, kRelaxed);
    header.pages_corrected.fetch_add(static_cast<uint64_t>(result.pages),
                                     kRelaxed);
  } else {
    header.recount_due.store(1, kRelaxed);
    header.recounts_voided.fetch_add(1, kRelaxed);
  }
  return result;
}

bool recount_if_due(Segment& segment) {
  constexpr uint64_t kFirstPauseMs = 50;
  constexpr uint64_t kLongestPauseMs = 10'000;
  SegmentHeader& header = segment.header();
  if (header.recount_due.load(kRelaxed) == 0) return true;
  const uint64_t now = sys::coarse_ms();
  const uint64_t not_before = header.recount_not_before_ms.load(kRelaxed);
  // (A time far ahead is damage.)
  if (now < not_before && not_before - now <= kLongestPauseMs) return false;
  if (recount(segment).done) {
    header.recount_pause_ms.store(0, kRelaxed);
    return true;
  }
  uint64_t pause = header.recount_pause_ms.load(kRelaxed) * 2;
  if (pause < kFirstPauseMs) pause = kFirstPauseMs;
  if (pause > kLongestPauseMs) pause = kLongestPauseMs;
  header.recount_pause_ms.store(pause, kRelaxed);
  header.recount_not_before_ms.store(now + pause, kRelaxed);
  return false;
}

int64_t audit(Segment& segment) {
  TreeChange change(segment);
  Tables tables(segment.groups_used());
  if (!change.held() || !tables.mapped()) return -1;
  if (segment.header().recount_due.load(kRelaxed) != 0) return -1;
  GateClosed gate(segment);
  if (!gather(segment, gate, tables)) return -1;
  // Somebody may have found meanwhile that they do not agree.
  if (segment.header().recount_due.load(kRelaxed) != 0) return -1;
  // A mark that is left is that of a process that died with it.
  if (anybody_charging(segment)) return -1;
  int64_t wrong = 0;
  for (uint32_t i = 0; i < tables.groups(); ++i) {
    if (charged_group(segment, i) != i) continue;  // its counter is not used
    wrong += !tables.truth(i).same_pages(tables.seen(i));
  }
  return wrong;
}

}  // namespace umemcg
