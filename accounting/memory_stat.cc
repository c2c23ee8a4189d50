// memory.stat.

#include "accounting/control_rows.h"
#include "accounting/mem_cgroup.h"
#include "accounting/stat_line.h"

namespace umemcg::control {
namespace {

// What it is made of, gathered once.
struct StatSource {
  int64_t own[kStats];       // of the subtree
  int64_t records = 0;       // the allocator's, pages
  int64_t stock = 0;         // charged ahead, pages
  int64_t reserve_used = 0;  // over max, pages
  int64_t kmem = 0;          // objects' charges, pages
  int64_t sock = 0;

  int64_t get(Stat stat) const { return own[static_cast<int>(stat)]; }
  int64_t used() const { return get(Stat::kUsed) - records; }
  int64_t cached() const { return get(Stat::kCached); }
};

StatSource gather(Segment& segment, uint32_t group) {
  StatSource source;
  read_stats(segment, group, true, source.own);
  if (group == kRootGroup) {
    int64_t root[kStats];
    read_stats(segment, kRootGroup, false, root);
    source.records = root[static_cast<int>(Stat::kUsed)];
  }
  source.stock = stock_pages(segment, group);
  const Group& row = *segment.group(group);
  int64_t over = row.memory.usage() - row.memory.max();
  source.reserve_used = over > 0 ? over : 0;
  source.kmem = row.kmem.usage();
  source.sock = row.sock.usage();
  return source;
}

struct StatRow {
  const char* key;
  bool pages;  // shown in bytes
  int64_t (*value)(const StatSource&);
};

constexpr int64_t kNothing(const StatSource&) { return 0; }
template <Stat kStat>
int64_t count_of(const StatSource& s) {
  return s.get(kStat);
}

// The kernel's keys in the kernel's order (what has no meaning for a heap is
// 0), then umemcg's own.
constexpr StatRow kStatRows[] = {
    {"anon", true, [](const StatSource& s) { return s.used() + s.cached(); }},
    {"file", true, kNothing},
    {"kernel", true, [](const StatSource& s) { return s.kmem; }},
    {"percpu", true, [](const StatSource& s) { return s.records; }},
    {"sock", true, [](const StatSource& s) { return s.sock; }},
    {"shmem", true, kNothing},
    {"swapcached", true, kNothing},
    {"anon_thp", true, count_of<Stat::kAnonThp>},
    {"inactive_anon", true, [](const StatSource& s) { return s.cached(); }},
    {"active_anon", true, [](const StatSource& s) { return s.used(); }},
    {"unevictable", true, kNothing},
    {"workingset_refault_anon", false, count_of<Stat::kRefault>},
    {"pgscan", false, count_of<Stat::kPgscan>},
    {"pgsteal", false, count_of<Stat::kPgsteal>},
    {"pgscan_direct", false, count_of<Stat::kPgscan>},
    {"pgsteal_direct", false, count_of<Stat::kPgsteal>},
    {"pgpgin", false, count_of<Stat::kPgpgin>},
    {"pgpgout", false, count_of<Stat::kPgpgout>},
    {"page_events", false, count_of<Stat::kPageEvents>},
    {"pages_committed", false, count_of<Stat::kCommitted>},
    {"pages_purged", false, count_of<Stat::kPurged>},
    {"cached", true, [](const StatSource& s) { return s.cached(); }},
    {"stock_bytes", true, [](const StatSource& s) { return s.stock; }},
    {"reserve_used", true, [](const StatSource& s) { return s.reserve_used; }},
    {"charged_bytes", true, count_of<Stat::kCharged>},
    {"uncharged_bytes", true, count_of<Stat::kUncharged>},
};

}  // namespace

void show_memory_stat(Segment& segment, uint32_t group, TextBuffer& out) {
  const StatSource source = gather(segment, group);
  for (const StatRow& row : kStatRows) {
    int64_t value = row.value(source);
    if (value < 0) value = 0;
    const auto shown = static_cast<uint64_t>(value);
    out.text(row.key).character(' ');
    out.number(row.pages ? shown << kPageShift : shown).character('\n');
  }
}

}  // namespace umemcg::control
