#include "accounting/report.h"

#include "accounting/mem_cgroup.h"
#include "accounting/stat_line.h"

namespace umemcg {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr int kColumns = 9;
constexpr const char* kHeadings[kColumns] = {
    "current", "peak",      "max",    "max-events", "oom",
    "charged", "uncharged", "cached", "processes"};

// A cell, right-aligned in 12 columns.
void cell(TextBuffer& row, const TextBuffer& value) {
  for (size_t i = value.length(); i < 12; ++i) row.character(' ');
  row.text(value.c_str(), value.length());
}

void bytes_cell(TextBuffer& row, int64_t pages) {
  Text<32> value;
  if (pages >= kPageCounterMax) {
    value.text("max");
  } else {
    value.bytes(static_cast<uint64_t>(pages > 0 ? pages : 0) << kPageShift);
  }
  cell(row, value);
}

void count_cell(TextBuffer& row, uint64_t count) {
  Text<32> value;
  cell(row, value.number(count));
}

uint64_t event_of(const Group& group, Event event) {
  return group.events[static_cast<int>(event)].load(kRelaxed);
}

void group_row(Segment& segment, uint32_t index, size_t width,
               TextBuffer& row) {
  const Group& group = *segment.group(index);
  int64_t stats[kStats];
  read_stats(segment, index, true, stats);
  Line path;  // cut as in widest_path()
  group_path(segment, index, path);
  row.text(path.c_str(), path.length());
  for (size_t i = row.length(); i < width; ++i) row.character(' ');
  bytes_cell(row, group.memory.usage());
  bytes_cell(row, group.memory.watermark());
  bytes_cell(row, group.memory.max());
  count_cell(row, event_of(group, Event::kMax));
  count_cell(row, event_of(group, Event::kOom));
  bytes_cell(row, stats[static_cast<int>(Stat::kCharged)]);
  bytes_cell(row, stats[static_cast<int>(Stat::kUncharged)]);
  bytes_cell(row, stats[static_cast<int>(Stat::kCached)]);
  count_cell(row, group.processes_total.load(kRelaxed));
}

size_t widest_path(Segment& segment) {
  size_t width = sizeof("group") - 1;
  for (uint32_t i = next_group(segment, kNone); i != kNone;
       i = next_group(segment, i)) {
    Line path;
    group_path(segment, i, path);
    if (path.length() > width) width = path.length();
  }
  return width;
}

}  // namespace

void write_report(Segment& segment,
                  void (*line)(const TextBuffer& text, void* arg), void* arg,
                  uint32_t root) {
  const size_t width = widest_path(segment);
  Text<1024> heading;
  heading.text("group");
  for (size_t i = heading.length(); i < width; ++i) heading.character(' ');
  for (const char* name : kHeadings) {
    Text<32> value;
    cell(heading, value.text(name));
  }
  heading.character('\n');
  line(heading, arg);
  for (uint32_t i = next_group(segment, kNone); i != kNone;
       i = next_group(segment, i)) {
    if (!in_subtree(segment, i, root)) continue;
    Text<1024> row;
    group_row(segment, i, width, row);
    row.character('\n');
    line(row, arg);
  }
}

}  // namespace umemcg
