#include "accounting/peak.h"

#include <cerrno>

#include "accounting/control_rows.h"
#include "accounting/file_lock.h"
#include "accounting/mem_cgroup.h"
#include "accounting/process.h"
#include "accounting/tree_change.h"
#include "base/sys.h"

namespace umemcg {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr auto kAcquire = std::memory_order_acquire;
constexpr auto kRelease = std::memory_order_release;

// PeakReader::pages of one that has not begun anew.
constexpr int64_t kNotYet = -1;

// A reader's number: its row, and the row's generation, so that a number from
// before does not name another reader.
constexpr int kRowBits = 8;
constexpr uint32_t kGenerations = 1u << (31 - kRowBits);
static_assert(kPeakReaders == 1u << kRowBits);

int number_of(uint32_t row, uint32_t generation) {
  return static_cast<int>(generation % kGenerations << kRowBits | row);
}

// PeakReader::process of a visitor's: one that has no slot.
constexpr uint32_t kVisitor = UINT32_MAX;

uint32_t own_mark() {
  const uint32_t self = this_process();
  return self != kNone ? self + 1 : kVisitor;
}

// A visitor locks a byte for each of its rows through this: there is no slot to
// be reaped when it is killed. (No process's byte, which would say that the
// domain is in use.)
constinit std::atomic<int> visitors_file{-1};

int64_t visitor_lock(uint32_t row) { return (int64_t{1} << 39) + row; }

// REQUIRES: the segment's lock. 0 or an error number.
int lock_for_visitor(Segment& segment, uint32_t row) {
  int fd = visitors_file.load(kRelaxed);
  if (fd < 0) fd = segment.open_file();
  if (fd < 0) return -fd;
  visitors_file.store(fd, kRelaxed);
  return file_lock_try(fd, visitor_lock(row)) ? 0 : EAGAIN;
}

// Frees the rows of visitors that have been killed. REQUIRES: the segment's
// lock.
void forget_dead_visitors(Segment& segment) {
  // Another open file than that above, whose own locks it would not see.
  const int fd = segment.is_private() ? -1 : segment.open_file();
  if (fd < 0) return;
  for (uint32_t row = 0; row < kPeakReaders; ++row) {
    PeakReader& reader = segment.header().peaks[row];
    if (reader.process.load(kAcquire) == kVisitor &&
        !file_lock_held(fd, visitor_lock(row))) {
      reader.process.store(0, kRelease);
    }
  }
  sys::close(fd);
}

// A row that is free, or kNone. REQUIRES: the segment's lock.
uint32_t free_row(Segment& segment) {
  for (uint32_t row = 0; row < kPeakReaders; ++row) {
    if (segment.header().peaks[row].process.load(kAcquire) == 0) return row;
  }
  return kNone;
}

// The row of a reader of this process, or null.
PeakReader* find_reader(Segment& segment, int number) {
  if (number < 0) return nullptr;
  const auto bits = static_cast<uint32_t>(number);
  PeakReader& reader = segment.header().peaks[bits % kPeakReaders];
  // acquire: pairs with peak_open().
  const bool mine = reader.process.load(kAcquire) == own_mark();
  const bool same =
      reader.generation.load(kRelaxed) % kGenerations == bits >> kRowBits;
  return mine && same ? &reader : nullptr;
}

// The group that it reads, or null if that was removed.
Group* group_of(Segment& segment, const PeakReader& reader) {
  const uint32_t group = reader.group.load(kRelaxed);
  const bool same =
      group_id(segment, group) == reader.group_id.load(kRelaxed) &&
      group_online(segment, group);
  return same ? segment.group(group) : nullptr;
}

template <typename Function>
void for_readers(Segment& segment, const Group& group, Function function) {
  for (PeakReader& reader : segment.header().peaks) {
    if (reader.process.load(kAcquire) != 0 &&
        group_of(segment, reader) == &group) {
      function(reader);
    }
  }
}

// REQUIRES: the segment's lock, under which alone `pages` is written.
void raise_readers(Segment& segment, const Group& group, int64_t pages) {
  for_readers(segment, group, [pages](PeakReader& reader) {
    const int64_t had = reader.pages.load(kRelaxed);
    if (had != kNotYet && had < pages) reader.pages.store(pages, kRelaxed);
  });
}

}  // namespace

int peak_open(Segment& segment, uint32_t group, uint64_t id) {
  TreeChange change(segment);
  if (!change.held()) return -EAGAIN;
  if (group_id(segment, group) != id || !group_online(segment, group)) {
    return -ENODEV;
  }
  uint32_t row = free_row(segment);
  if (row == kNone) {
    forget_dead_visitors(segment);
    row = free_row(segment);
  }
  if (row == kNone) return -ENOSPC;
  const uint32_t mark = own_mark();
  const int error = mark == kVisitor ? lock_for_visitor(segment, row) : 0;
  if (error != 0) return -error;
  PeakReader& reader = segment.header().peaks[row];
  const uint32_t generation = reader.generation.fetch_add(1, kRelaxed) + 1;
  reader.group.store(group, kRelaxed);
  reader.group_id.store(id, kRelaxed);
  reader.pages.store(kNotYet, kRelaxed);
  // release: pairs with find_reader().
  reader.process.store(mark, kRelease);
  return number_of(row, generation);
}

int64_t peak_read(Segment& segment, int number) {
  const PeakReader* reader = find_reader(segment, number);
  if (reader == nullptr) return -EBADF;
  const Group* group = group_of(segment, *reader);
  if (group == nullptr) return -ENODEV;
  // First the watermark: another's new start moves it to `pages` before it
  // falls.
  const int64_t local = group->memory.local_watermark();
  const int64_t own = reader->pages.load(kRelaxed);
  if (own == kNotYet) return group->memory.watermark();
  return own > local ? own : local;
}

namespace {
// The usage from which the counter's local watermark begins.
// REQUIRES: the segment's lock.
int64_t begin_anew(Segment& segment, Group& group) {
  raise_readers(segment, group, group.memory.local_watermark());
  raise_readers(segment, group, group.memory.reset_local_watermark());
  return group.memory.usage();
}
}  // namespace

int peak_reset(Segment& segment, int number) {
  TreeChange change(segment);
  if (!change.held()) return EAGAIN;
  PeakReader* reader = find_reader(segment, number);
  if (reader == nullptr) return EBADF;
  Group* group = group_of(segment, *reader);
  if (group == nullptr) return ENODEV;
  reader->pages.store(begin_anew(segment, *group), kRelaxed);
  return 0;
}

int peak_close(Segment& segment, int number) {
  TreeChange change(segment);
  if (!change.held()) return EAGAIN;
  PeakReader* reader = find_reader(segment, number);
  if (reader == nullptr) return EBADF;
  if (own_mark() == kVisitor) {
    file_unlock(visitors_file.load(kRelaxed),
                visitor_lock(static_cast<uint32_t>(number) % kPeakReaders));
  }
  // release: pairs with peak_open().
  reader->process.store(0, kRelease);
  return 0;
}

int peak_reset_all(Segment& segment, uint32_t group) {
  TreeChange change(segment);
  if (!change.held()) return EAGAIN;
  Group& row = *segment.group(group);
  row.memory.reset_watermark();
  const int64_t now = row.memory.usage();
  for_readers(segment, row, [now](PeakReader& reader) {
    if (reader.pages.load(kRelaxed) != kNotYet) {
      reader.pages.store(now, kRelaxed);
    }
  });
  return 0;
}

void peak_forget_process(Segment& segment, uint32_t process) {
  for (PeakReader& reader : segment.header().peaks) {
    if (reader.process.load(kRelaxed) == process + 1) {
      reader.process.store(0, kRelease);
    }
  }
}

int control::reset_peak(Segment& segment, uint32_t group, const char*,
                        const Writer&) {
  return peak_reset_all(segment, group);
}

}  // namespace umemcg
