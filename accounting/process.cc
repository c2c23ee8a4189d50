#include "accounting/process.h"

#include <fcntl.h>
#include <sys/mman.h>

#include <cerrno>

#include "accounting/file_lock.h"
#include "accounting/mem_cgroup.h"
#include "accounting/rows.h"
#include "accounting/stat_line.h"
#include "base/sys.h"
#include "base/text.h"

namespace umemcg {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

constinit uint32_t own_slot = 0;
// The page whose mapping keeps this process's lock; null without one.
constinit void* liveness_page = nullptr;

void fold_counts(StatArray& from, StatArray& into) {
  for (int i = 0; i < kStats; ++i) {
    int64_t value = from[i].exchange(0, kRelaxed);
    if (!is_amount(i)) into[i].fetch_add(value, kRelaxed);
  }
}

void reap_line(Segment& segment, StockLine& line) {
  flush_stat_line(segment, line);
  line.stat_ledger.store(0, kRelaxed);
  // The pages in its stock are in the ledger too, and go back with it.
  for (auto& slot : line.slots) slot.store(0, kRelaxed);
  line.reservation.store(0, kRelaxed);
  uint32_t group = line.group.exchange(0, kRelaxed);
  if (group != 0) add_to_ancestors(segment, group - 1, &Group::threads, -1);
  // release: pairs with claim_row().
  line.owner.store(0, std::memory_order_release);
}

void reap_ledger(Segment& segment, Ledger& ledger, uint64_t owner) {
  Group* group = segment.group(owner_group(owner));
  int64_t pages = ledger.pages.exchange(0, kRelaxed);
  if (group != nullptr) {
    if (pages > 0) {
      group->memory.uncharge(pages);
      ledger.stat[static_cast<int>(Stat::kUncharged)].fetch_add(pages,
                                                                kRelaxed);
    }
    fold_counts(ledger.stat, group->stat);
  }
  // release: pairs with claim_row().
  ledger.owner.store(0, std::memory_order_release);
}

// REQUIRES: the segment's lock; the process is dead and holds nothing.
void reap_process(Segment& segment, uint32_t process) {
  ProcessSlot& slot = *segment.process(process);
  for (uint32_t i = 0; i < segment.lines_used(); ++i) {
    StockLine& line = *segment.line(i);
    if (line.owner.load(kRelaxed) == process + 1) reap_line(segment, line);
  }
  for (uint32_t i = 0; i < segment.ledgers_used(); ++i) {
    Ledger& ledger = *segment.ledger(i);
    uint64_t owner = ledger.owner.load(kRelaxed);
    if (owner != 0 && owner_process(owner) == process) {
      reap_ledger(segment, ledger, owner);
    }
  }
  add_to_ancestors(segment, slot.group.load(kRelaxed), &Group::processes, -1);
  slot.state.store(ProcessState::kFree, std::memory_order_release);
}

void fill_slot(Segment& segment, uint32_t process, uint32_t group,
               const char* name) {
  ProcessSlot* row = segment.process(process);
  if (row == nullptr) return;
  ProcessSlot& slot = *row;
  slot.pid.store(sys::process_id(), kRelaxed);
  slot.group.store(group, kRelaxed);
  TextBuffer(slot.name, sizeof(slot.name)).text(name);
  // Counted before it is there: a kill in between leaves one too many, which
  // only makes batches smaller, never one too few.
  add_to_ancestors(segment, group, &Group::processes, +1);
  add_to_ancestors(segment, group, &Group::processes_total, +1);
  // release: pairs with the acquire loads of `state`.
  slot.state.store(ProcessState::kAttached, std::memory_order_release);
  raise_high(segment.header().processes_high, process);
}

// Reaps every dead process; how many. REQUIRES: the segment's lock.
uint32_t reap_dead(Segment& segment, int fd) {
  uint32_t reaped = 0;
  for (uint32_t i = 0; i < segment.processes_used(); ++i) {
    // acquire: pairs with fill_slot().
    bool used = segment.process(i)->state.load(std::memory_order_acquire) !=
                ProcessState::kFree;
    if (!used || file_lock_held(fd, slot_lock_offset(i))) continue;
    reap_process(segment, i);
    ++reaped;
  }
  return reaped;
}

// Takes a free slot, and its lock through `fd`, when all the dead have been
// reaped. REQUIRES: the segment's lock.
uint32_t claim_slot(Segment& segment, int fd) {
  reap_dead(segment, fd);
  for (uint32_t i = 0; i < segment.process_count(); ++i) {
    // acquire: pairs with fill_slot().
    if (segment.process(i)->state.load(std::memory_order_acquire) ==
            ProcessState::kFree &&
        file_lock_try(fd, slot_lock_offset(i))) {
      return i;
    }
  }
  return kNone;
}

// Opens the file for this process's lifetime lock, takes a slot, and leaves
// the lock hanging on a mapped page.
int attach_to_file(uint32_t group, const char* name) {
  int fd = sys::open(g_segment.path(), O_RDWR | O_NOFOLLOW);
  if (fd < 0) return -fd;
  int error = 0;
  void* page =
      sys::memory.map(nullptr, kPageSize, PROT_READ, MAP_SHARED, fd, 0, &error);
  if (page == nullptr || sys::advise(page, kPageSize, MADV_DONTFORK) != 0) {
    if (page != nullptr) sys::unmap(page, kPageSize);
    sys::close(fd);
    return error != 0 ? error : EINVAL;
  }
  uint32_t slot = kNone;
  error = EBUSY;
  if (g_segment.lock()) {
    slot = claim_slot(g_segment, fd);
    error = slot == kNone ? ENOSPC : 0;
    if (slot != kNone) fill_slot(g_segment, slot, group, name);
    g_segment.unlock();
  }
  sys::close(fd);
  if (slot == kNone) {
    sys::unmap(page, kPageSize);
    return error;
  }
  own_slot = slot;
  liveness_page = page;
  return 0;
}

}  // namespace

uint32_t this_process() { return own_slot; }

int attach_process(uint32_t group, const char* name) {
  if (!g_segment.is_private()) return attach_to_file(group, name);
  own_slot = 0;
  fill_slot(g_segment, 0, group, name);
  return 0;
}

void forget_process() { liveness_page = nullptr; }

bool process_alive(Segment& segment, uint32_t process) {
  ProcessSlot* slot = segment.process(process);
  // acquire: pairs with fill_slot().
  if (slot == nullptr ||
      slot->state.load(std::memory_order_acquire) != ProcessState::kAttached) {
    return false;
  }
  if (segment.is_private()) return true;
  int fd = sys::open(segment.path(), O_RDWR | O_NOFOLLOW);
  if (fd < 0) return true;  // cannot be told: leave its charges alone
  bool held = file_lock_held(fd, slot_lock_offset(process));
  sys::close(fd);
  return held;
}

uint32_t reap_dead_processes(Segment& segment) {
  if (segment.is_private()) return 0;
  int fd = sys::open(segment.path(), O_RDWR | O_NOFOLLOW);
  if (fd < 0) return 0;
  uint32_t reaped = 0;
  if (segment.lock(100)) {
    reaped = reap_dead(segment, fd);
    segment.unlock();
  }
  sys::close(fd);
  return reaped;
}

void add_to_ancestors(Segment& segment, uint32_t group,
                      std::atomic<uint32_t> Group::*count, int by) {
  for (int level = 0; level <= kMaxDepth && group != kNone; ++level) {
    Group* row = segment.group(group);
    if (row == nullptr) return;
    (row->*count).fetch_add(static_cast<uint32_t>(by), kRelaxed);
    group = parent_group(segment, group);
  }
}

}  // namespace umemcg
