#include "accounting/reclaim_request.h"

#include "accounting/mem_cgroup.h"
#include "accounting/notify.h"
#include "accounting/process.h"
#include "base/sys.h"

namespace umemcg {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr uint32_t kMostProcesses = 4096;  // that are waited for
constexpr uint64_t kLookNs = 50'000;

uint32_t own_process(const Segment& segment) {
  return &segment == &g_segment ? this_process() : kNone;
}

// A set of process slots, on the stack.
class Processes {
 public:
  void add(uint32_t process) {
    if (process < kMostProcesses) words_[process / 64] |= bit(process);
  }
  void remove(uint32_t process) { words_[process / 64] &= ~bit(process); }
  bool has(uint32_t process) const {
    return process < kMostProcesses &&
           (words_[process / 64] & bit(process)) != 0;
  }

 private:
  static uint64_t bit(uint32_t process) { return uint64_t{1} << process % 64; }

  uint64_t words_[kMostProcesses / 64] = {};
};

int64_t cached_in(const StatArray& stats) {
  return stats[static_cast<int>(Stat::kCached)].load(kRelaxed);
}

// The owner of the ledger that the line counts for, if it charges the subtree;
// 0 if not.
uint64_t owner_of_line(Segment& segment, const StockLine& line,
                       uint32_t group) {
  if (line.owner.load(kRelaxed) == 0) return 0;
  const uint32_t named = line.stat_ledger.load(kRelaxed);
  const Ledger* ledger = named != 0 ? segment.ledger(named - 1) : nullptr;
  const uint64_t owner = ledger != nullptr ? ledger->owner.load(kRelaxed) : 0;
  return owner != 0 && in_subtree(segment, owner_group(owner), group) ? owner
                                                                      : 0;
}

// Calls visit(process, cached pages, charged pages) for each part that a ledger
// or a line of a process has of the subtree.
template <typename Visit>
void visit_charges(Segment& segment, uint32_t group, Visit visit) {
  for (uint32_t i = 0; i < segment.ledgers_used(); ++i) {
    const Ledger& ledger = *segment.ledger(i);
    const uint64_t owner = ledger.owner.load(kRelaxed);
    if (owner == 0 || !in_subtree(segment, owner_group(owner), group)) continue;
    visit(owner_process(owner), cached_in(ledger.stat),
          ledger.pages.load(kRelaxed));
  }
  for (uint32_t i = 0; i < segment.lines_used(); ++i) {
    const StockLine& line = *segment.line(i);
    const uint64_t owner = owner_of_line(segment, line, group);
    if (owner != 0) visit(owner_process(owner), cached_in(line.stat), 0);
  }
}

bool has_answered(const ProcessSlot& slot, uint32_t seq) {
  // acquire: what it gave back is seen. Pairs with serve_reclaim_requests().
  const uint32_t seen = slot.reclaim_seen.load(std::memory_order_acquire);
  return static_cast<int32_t>(seen - seq) >= 0;
}

// Whether it answered, after it had missed a request.
bool usually_answers(const ProcessSlot& slot) {
  const uint32_t missed = slot.reclaim_missed.load(kRelaxed);
  return missed == 0 || has_answered(slot, missed);
}

bool may_give(const ProcessSlot& slot) {
  // acquire: pairs with fill_slot().
  return slot.state.load(std::memory_order_acquire) == ProcessState::kAttached;
}

// Other processes that have something to give, and whether there are any.
bool find_givers(Segment& segment, uint32_t group, Processes* givers) {
  const uint32_t self = own_process(segment);
  bool any = false;
  // What a thread took out of the cache is counted in its own line, so a part
  // may be below 0: then nobody is missed, only waited for in vain.
  visit_charges(
      segment, group, [&](uint32_t process, int64_t cached, int64_t charged) {
        const ProcessSlot* slot = segment.process(process);
        if (process == self || slot == nullptr || !may_give(*slot)) return;
        const uint32_t flags = slot->flags.load(kRelaxed);
        const bool shrinks = (flags & kProcessShrinkers) != 0 && charged > 0;
        if (cached <= 0 && !shrinks) return;
        givers->add(process);
        any = true;
      });
  return any;
}

// The number of a new request, which the group and then the header show: who
// sees the header's sees the group's.
uint32_t publish(Segment& segment, uint32_t group, int64_t pages) {
  Group& row = *segment.group(group);
  SegmentHeader& header = segment.header();
  row.reclaim_pages.store(pages, kRelaxed);
  row.reclaim_ms.store(sys::coarse_ms(), kRelaxed);
  uint32_t before = header.reclaim_seq.load(kRelaxed);
  uint32_t seq;
  // Another asker's number is not this one's, or a process that has served
  // that would pass this group over.
  do {
    seq = before + 1;
    row.reclaim_seq.store(seq, kRelaxed);
    // release: pairs with serve_reclaim_requests().
  } while (!header.reclaim_seq.compare_exchange_weak(
      before, seq, std::memory_order_release, kRelaxed));
  notify_listeners(segment);
  return seq;
}

// Until all of them have answered, or until the deadline; who has not by then
// has missed it.
void wait_for_answers(Segment& segment, Processes& waited, uint32_t seq,
                      uint64_t deadline) {
  const uint32_t used = segment.processes_used();
  for (;;) {
    bool missing = false;
    const bool late = sys::monotonic_ns() >= deadline;
    for (uint32_t i = 0; i < used; ++i) {
      if (!waited.has(i)) continue;
      ProcessSlot& slot = *segment.process(i);
      if (!may_give(slot) || has_answered(slot, seq)) {
        waited.remove(i);
      } else if (late) {
        slot.reclaim_missed.store(seq, kRelaxed);
      } else {
        missing = true;
      }
    }
    if (!missing) return;
    sys::sleep_ns(kLookNs);
  }
}

int64_t ask_others(Segment& segment, uint32_t group, int64_t pages, bool) {
  return request_reclaim(segment, group, pages, kRequestWaitNs);
}

}  // namespace

constinit std::atomic<uint32_t> g_requests_served{0};
constinit Hook<int64_t(Segment&, uint32_t, int64_t, bool)> g_reclaim_hook{
    ask_others};

int64_t request_reclaim(Segment& segment, uint32_t group, int64_t pages,
                        uint64_t wait_ns) {
  Group* row = segment.group(group);
  Processes waited;
  if (segment.is_private() || row == nullptr || pages <= 0 ||
      !find_givers(segment, group, &waited)) {
    return 0;
  }
  for (uint32_t i = 0; i < segment.processes_used(); ++i) {
    if (waited.has(i) && !usually_answers(*segment.process(i))) {
      waited.remove(i);
    }
  }
  const int64_t before = row->memory.usage();
  const uint32_t seq = publish(segment, group, pages);
  wait_for_answers(segment, waited, seq, sys::monotonic_ns() + wait_ns);
  const int64_t fell = before - row->memory.usage();
  return fell > 0 ? fell : 0;
}

bool reclaim_requested(Segment& segment, uint32_t process) {
  const ProcessSlot* slot = segment.process(process);
  return slot != nullptr && slot->reclaim_seen.load(kRelaxed) !=
                                segment.header().reclaim_seq.load(kRelaxed);
}

Givable givable_pages(Segment& segment, uint32_t group, uint32_t process) {
  Givable sum;
  visit_charges(segment, group,
                [&](uint32_t owner, int64_t cached, int64_t charged) {
                  if (process != kNone && owner != process) return;
                  sum.cached += cached;
                  sum.charged += charged;
                });
  return sum;
}

}  // namespace umemcg
