// memory.stat and memory.numa_stat by the names of cgroup v1: what is charged
// to the group itself, then (total_*, hierarchical_*) with all below it.

#include "accounting/control_rows.h"
#include "accounting/mem_cgroup.h"
#include "accounting/memory_stat.h"

namespace umemcg::control {
namespace {

struct RowV1 {
  const char* key;
  bool pages;  // shown in bytes
  int64_t (*value)(const StatSource&);
};

constexpr int64_t kNothing(const StatSource&) { return 0; }
template <Stat kStat>
int64_t count_of(const StatSource& s) {
  return s.get(kStat);
}
int64_t anon(const StatSource& s) { return s.used() + s.cached(); }

constexpr RowV1 kRows[] = {
    {"cache", true, kNothing},
    {"rss", true, anon},
    {"rss_huge", true, count_of<Stat::kAnonThp>},
    {"shmem", true, kNothing},
    {"mapped_file", true, kNothing},
    {"dirty", true, kNothing},
    {"writeback", true, kNothing},
    {"workingset_refault_anon", false, count_of<Stat::kRefault>},
    {"workingset_refault_file", false, kNothing},
    {"swap", true, kNothing},
    {"swapcached", true, kNothing},
    {"pgpgin", false, count_of<Stat::kPgpgin>},
    {"pgpgout", false, count_of<Stat::kPgpgout>},
    {"pgfault", false, kNothing},
    {"pgmajfault", false, kNothing},
    {"inactive_anon", true, [](const StatSource& s) { return s.cached(); }},
    {"active_anon", true, [](const StatSource& s) { return s.used(); }},
    {"inactive_file", true, kNothing},
    {"active_file", true, kNothing},
    {"unevictable", true, kNothing},
};

// In pages, as the kernel's.
constexpr RowV1 kNodeRows[] = {
    {"total", false, anon},
    {"file", false, kNothing},
    {"anon", false, anon},
    {"unevictable", false, kNothing},
};

uint64_t amount(const RowV1& row, const StatSource& source) {
  int64_t value = row.value(source);
  if (value < 0) value = 0;
  return static_cast<uint64_t>(value) << (row.pages ? kPageShift : 0);
}

void show_rows(const StatSource& source, const char* prefix, TextBuffer& out) {
  for (const RowV1& row : kRows) {
    out.text(prefix).text(row.key).character(' ');
    out.number(amount(row, source)).character('\n');
  }
}

void show_node_rows(const StatSource& source, const char* prefix,
                    TextBuffer& out) {
  for (const RowV1& row : kNodeRows) {
    const uint64_t value = amount(row, source);
    out.text(prefix).text(row.key).character('=').number(value);
    out.text(" N0=").number(value).character('\n');
  }
}

int64_t memory_max(const Group& row) { return row.memory.max(); }

// The lowest limit from the group upwards.
int64_t lowest_limit(Segment& segment, uint32_t group,
                     int64_t (*limit)(const Group&)) {
  int64_t lowest = kPageCounterMax;
  for (int level = 0; level <= kMaxDepth && group != kNone; ++level) {
    const Group* row = segment.group(group);
    if (row == nullptr) break;
    if (limit(*row) < lowest) lowest = limit(*row);
    group = parent_group(segment, group);
  }
  return lowest;
}

}  // namespace

void show_memory_stat_v1(Segment& segment, uint32_t group, TextBuffer& out) {
  show_rows(gather_stats(segment, group, false), "", out);
  out.text("hierarchical_memory_limit ");
  show_pages(lowest_limit(segment, group, memory_max), nullptr, out);
  out.text("hierarchical_memsw_limit ");
  show_pages(lowest_limit(segment, group, memsw_max), nullptr, out);
  show_rows(gather_stats(segment, group, true), "total_", out);
}

void show_numa_stat_v1(Segment& segment, uint32_t group, TextBuffer& out) {
  show_node_rows(gather_stats(segment, group, false), "", out);
  show_node_rows(gather_stats(segment, group, true), "hierarchical_", out);
}

}  // namespace umemcg::control
