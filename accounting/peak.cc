#include "accounting/peak.h"

#include <cerrno>

#include "accounting/control_rows.h"
#include "accounting/mem_cgroup.h"
#include "accounting/process.h"
#include "accounting/tree_change.h"

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

// The row of a reader of this process, or null.
PeakReader* find_reader(Segment& segment, int number) {
  if (number < 0) return nullptr;
  const auto bits = static_cast<uint32_t>(number);
  PeakReader& reader = segment.header().peaks[bits % kPeakReaders];
  // acquire: pairs with peak_open().
  const bool mine = reader.process.load(kAcquire) == this_process() + 1;
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
  for (uint32_t row = 0; row < kPeakReaders; ++row) {
    PeakReader& reader = segment.header().peaks[row];
    if (reader.process.load(kAcquire) != 0) continue;
    const uint32_t generation = reader.generation.fetch_add(1, kRelaxed) + 1;
    reader.group.store(group, kRelaxed);
    reader.group_id.store(id, kRelaxed);
    reader.pages.store(kNotYet, kRelaxed);
    // release: pairs with find_reader().
    reader.process.store(this_process() + 1, kRelease);
    return number_of(row, generation);
  }
  return -ENOSPC;
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

int control::reset_peak(Segment& segment, uint32_t group, const char*) {
  return peak_reset_all(segment, group);
}

}  // namespace umemcg
