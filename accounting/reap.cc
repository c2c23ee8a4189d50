// Giving back what dead processes had charged.

#include "accounting/gate.h"
#include "accounting/lease.h"
#include "accounting/liveness.h"
#include "accounting/mem_cgroup.h"
#include "accounting/notify.h"
#include "accounting/peak.h"
#include "accounting/process.h"
#include "accounting/psi.h"
#include "accounting/recount.h"
#include "accounting/stat_line.h"
#include "accounting/stock_word.h"
#include "accounting/tree_change.h"
#include "base/fault_point.h"

namespace umemcg {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

void fold_counts(StatArray& from, StatArray& into) {
  for (int i = 0; i < kStats; ++i) {
    int64_t value = from[i].exchange(0, kRelaxed);
    if (!is_amount(i)) into[i].fetch_add(value, kRelaxed);
  }
}

// Takes the marks of a dead process off. Whether there were any: then its
// ledgers and the counters do not belong together.
bool take_marks(Segment& segment, uint32_t process) {
  bool busy = segment.process(process)->busy.exchange(0, kRelaxed) != 0;
  for (uint32_t i = 0; i < segment.lines_used(); ++i) {
    StockLine& line = *segment.line(i);
    if (line.owner.load(kRelaxed) != process + 1) continue;
    busy |= line.busy.exchange(0, kRelaxed) != 0;
  }
  return busy;
}

// What others took out of its stock, or are just taking, is theirs to
// uncharge: it leaves the ledger. The rest of the stock goes back with it.
void take_word(Segment& segment, std::atomic<uint64_t>& slot) {
  const StockWord word(slot.exchange(0, kRelaxed));
  fault_point("reaping: between a word and its ledger");
  Ledger* ledger = segment.ledger(word.ledger());
  if (ledger != nullptr) ledger->pages.fetch_sub(word.given(), kRelaxed);
}

void reap_line(Segment& segment, StockLine& line) {
  flush_stat_line(segment, line);
  line.stat_ledger.store(0, kRelaxed);
  for (auto& slot : line.slots) take_word(segment, slot);
  take_word(segment, line.reservation);
  psi_forget_line(segment, line);
  line.group.store(0, kRelaxed);
  fault_point("reaping: a line is not free yet");
  // release: pairs with claim_row().
  line.owner.store(0, std::memory_order_release);
}

void uncharge_ledger(const Ledger& ledger, Group& group) {
  const int64_t pages = ledger.pages.load(kRelaxed);
  const int64_t kmem = ledger.kmem.load(kRelaxed);
  const int64_t sock = ledger.sock.load(kRelaxed);
  if (pages > 0) group.memory.uncharge(pages);
  if (kmem > 0) group.kmem.uncharge(kmem);
  if (sock > 0) group.sock.uncharge(sock);
}

// With `exact` the counters are uncharged; without, a recount will find them.
void reap_ledger(Segment& segment, Ledger& ledger, uint64_t owner, bool exact) {
  const uint32_t index = owner_group(owner);
  Group* group = segment.group(index);
  if (group != nullptr) {
    if (exact) uncharge_ledger(ledger, *group);
    fault_point("reaping: between counters and ledger");
    // What was killed in the middle of it, a recount puts right.
    ledger.stat[static_cast<int>(Stat::kUncharged)].fetch_add(
        ledger.pages.load(kRelaxed), kRelaxed);
    threshold_events(segment, index, ledger.pages.load(kRelaxed));
    add_to_ancestors(segment, index, &Group::threads,
                     -static_cast<int>(ledger.threads.load(kRelaxed)));
    group->ledgers.fetch_sub(1, kRelaxed);
    fold_counts(ledger.stat, group->stat);
  }
  for (auto* pages : {&ledger.pages, &ledger.kmem, &ledger.sock}) {
    pages->store(0, kRelaxed);
  }
  ledger.threads.store(0, kRelaxed);
  fault_point("reaping: a ledger is not free yet");
  // release: pairs with claim_row().
  ledger.owner.store(0, std::memory_order_release);
}

template <typename Function>
void for_ledgers(Segment& segment, uint32_t process, Function function) {
  for (uint32_t i = 0; i < segment.ledgers_used(); ++i) {
    Ledger& ledger = *segment.ledger(i);
    const uint64_t owner = ledger.owner.load(kRelaxed);
    if (owner != 0 && owner_process(owner) == process) function(ledger, owner);
  }
}

void leave_group(Segment& segment, ProcessSlot& slot) {
  if (slot.state.load(kRelaxed) != ProcessState::kAttached) return;
  add_to_ancestors(segment, slot.group.load(kRelaxed), &Group::processes, -1);
}

// What it had open, and what it listened to.
void end_listening(Segment& segment, uint32_t process) {
  peak_forget_process(segment, process);
  std::atomic<uint32_t>& flags = segment.process(process)->flags;
  if ((flags.load(kRelaxed) & kProcessWorker) == 0) return;
  flags.fetch_and(~uint32_t{kProcessWorker}, kRelaxed);
  forget_listeners(segment);
}

void reap_process(Segment& segment, uint32_t process, bool exact) {
  ProcessSlot& slot = *segment.process(process);
  for (uint32_t i = 0; i < segment.lines_used(); ++i) {
    StockLine& line = *segment.line(i);
    if (line.owner.load(kRelaxed) == process + 1) reap_line(segment, line);
  }
  for_ledgers(segment, process, [&](Ledger& ledger, uint64_t owner) {
    reap_ledger(segment, ledger, owner, exact);
  });
  leave_group(segment, slot);
  end_listening(segment, process);
  drop_leases(segment, process);
  fault_point("reaping: a slot is not free yet");
  slot.page_table.store(0, kRelaxed);
  slot.accounts.store(0, kRelaxed);
  // release: pairs with claim_slot().
  slot.state.store(ProcessState::kFree, std::memory_order_release);
}

// Its children hold what they inherited. Its threads are in no group any more;
// their stocks are left to whoever drains them.
void orphan_process(Segment& segment, uint32_t process) {
  ProcessSlot& slot = *segment.process(process);
  leave_group(segment, slot);
  end_listening(segment, process);
  for (uint32_t i = 0; i < segment.lines_used(); ++i) {
    StockLine& line = *segment.line(i);
    if (line.owner.load(kRelaxed) != process + 1) continue;
    psi_forget_line(segment, line);
    line.group.store(0, kRelaxed);
  }
  for_ledgers(segment, process, [&](Ledger& ledger, uint64_t owner) {
    add_to_ancestors(segment, owner_group(owner), &Group::threads,
                     -static_cast<int>(ledger.threads.exchange(0, kRelaxed)));
  });
  fault_point("reaping: a slot is not orphaned yet");
  slot.state.store(ProcessState::kOrphaned, std::memory_order_release);
}

// A dead process turns its ledgers over to nobody: it is done for it, so that a
// removed group does not wait for the family's end.
void turn_orphans_ledgers(Segment& segment, uint32_t process) {
  for_ledgers(segment, process, [&](Ledger& ledger, uint64_t owner) {
    const uint32_t group = owner_group(owner);
    const uint32_t target = charged_group(segment, group);
    if (target == group || !in_subtree(segment, group, target)) return;
    segment.group(target)->ledgers.fetch_add(1, kRelaxed);
    ledger.owner.store(make_owner(process, target), kRelaxed);
    segment.group(group)->ledgers.fetch_sub(1, std::memory_order_seq_cst);
  });
}

// True if the slot's process was found dead now.
bool look_at_process(Segment& segment, const LivenessFile& file, uint32_t i) {
  // acquire: pairs with fill_slot() in process.cc.
  const ProcessState state =
      segment.process(i)->state.load(std::memory_order_acquire);
  if (state == ProcessState::kFree) return false;
  const Remains remains = file.of(i);
  if (remains == Remains::kAlive) return false;
  // (Where a recount is due, a reaper that died may have left its ledgers half
  // uncharged.)
  std::atomic<uint32_t>& due = segment.header().recount_due;
  const bool busy = take_marks(segment, i);
  fault_point("reaping: marks are taken");
  if (busy) due.store(1, kRelaxed);
  const bool exact = due.load(kRelaxed) == 0;
  if (remains == Remains::kNothing) {
    const uint32_t group = segment.process(i)->group.load(kRelaxed);
    reap_process(segment, i, exact);
    remove_if_deserted(segment, group);
    return true;
  }
  const bool now = state != ProcessState::kOrphaned;
  if (now) orphan_process(segment, i);
  turn_orphans_ledgers(segment, i);
  return now;
}

}  // namespace

uint32_t reap_dead_locked(Segment& segment) {
  if (segment.is_private()) return 0;
  LivenessFile file(segment);
  if (!file.open()) return 0;
  uint32_t reaped = 0;
  for (uint32_t i = 0; i < segment.processes_used(); ++i) {
    reaped += look_at_process(segment, file, i);
  }
  recount_if_due(segment);
  return reaped;
}

uint32_t reap_dead_processes(Segment& segment) {
  if (segment.is_private()) return 0;
  TreeChange change(segment, 100);
  return change.held() ? reap_dead_locked(segment) : 0;
}

}  // namespace umemcg
