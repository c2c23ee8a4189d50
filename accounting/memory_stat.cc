#include "accounting/memory_stat.h"

#include "accounting/control_rows.h"
#include "accounting/stat_line.h"
#include "base/sys.h"

namespace umemcg {

constinit const char* g_memory_nodes = "/sys/devices/system/node/online";

// "0" or "0-3"; without such a file there is one.
bool one_memory_node() {
  char text[64];
  if (sys::read_file(g_memory_nodes, text, sizeof(text)) <= 0) return true;
  for (const char* at = text; *at != '\0'; ++at) {
    if (*at == '-' || *at == ',') return false;
  }
  return true;
}

StatSource gather_stats(Segment& segment, uint32_t group, bool subtree) {
  StatSource source;
  read_stats(segment, group, subtree, source.own);
  if (group == kRootGroup) {
    int64_t root[kStats];
    read_stats(segment, kRootGroup, false, root);
    source.records = root[static_cast<int>(Stat::kUsed)];
  }
  if (!subtree) return source;
  source.stock = stock_pages(segment, group);
  const Group& row = *segment.group(group);
  int64_t over = row.memory.usage() - row.memory.max();
  source.reserve_used = over > 0 ? over : 0;
  source.kmem = row.kmem.usage();
  source.sock = row.sock.usage();
  return source;
}

namespace control {
namespace {

enum class Unit : uint8_t {
  kNodeBytes,  // pages that lie on a node, shown in bytes
  kNodeCount,  // events that happen on a node
  kBytes,
  kCount,
};

struct StatRow {
  const char* key;
  Unit unit;
  int64_t (*value)(const StatSource&);
};

constexpr int64_t kNothing(const StatSource&) { return 0; }
template <Stat kStat>
int64_t count_of(const StatSource& s) {
  return s.get(kStat);
}

using enum Unit;

// The kernel's keys in the kernel's order (what has no meaning for a heap is
// 0), then umemcg's own.
constexpr StatRow kStatRows[] = {
    {"anon", kNodeBytes,
     [](const StatSource& s) { return s.used() + s.cached(); }},
    {"file", kNodeBytes, kNothing},
    {"kernel", kBytes, [](const StatSource& s) { return s.kmem; }},
    {"kernel_stack", kNodeBytes, kNothing},
    {"pagetables", kNodeBytes, kNothing},
    {"sec_pagetables", kNodeBytes, kNothing},
    {"percpu", kBytes, [](const StatSource& s) { return s.records; }},
    {"sock", kBytes, [](const StatSource& s) { return s.sock; }},
    {"vmalloc", kBytes, kNothing},
    {"shmem", kNodeBytes, kNothing},
    {"zswap", kBytes, kNothing},
    {"zswapped", kBytes, kNothing},
    {"file_mapped", kNodeBytes, kNothing},
    {"file_dirty", kNodeBytes, kNothing},
    {"file_writeback", kNodeBytes, kNothing},
    {"swapcached", kNodeBytes, kNothing},
    {"anon_thp", kNodeBytes, count_of<Stat::kAnonThp>},
    {"file_thp", kNodeBytes, kNothing},
    {"shmem_thp", kNodeBytes, kNothing},
    {"inactive_anon", kNodeBytes,
     [](const StatSource& s) { return s.cached(); }},
    {"active_anon", kNodeBytes, [](const StatSource& s) { return s.used(); }},
    {"inactive_file", kNodeBytes, kNothing},
    {"active_file", kNodeBytes, kNothing},
    {"unevictable", kNodeBytes, kNothing},
    {"slab_reclaimable", kNodeBytes, kNothing},
    {"slab_unreclaimable", kNodeBytes, kNothing},
    {"slab", kBytes, kNothing},
    {"workingset_refault_anon", kNodeCount, count_of<Stat::kRefault>},
    {"workingset_refault_file", kNodeCount, kNothing},
    {"workingset_activate_anon", kNodeCount, kNothing},
    {"workingset_activate_file", kNodeCount, kNothing},
    {"workingset_restore_anon", kNodeCount, kNothing},
    {"workingset_restore_file", kNodeCount, kNothing},
    {"workingset_nodereclaim", kNodeCount, kNothing},
    {"pgdemote_kswapd", kNodeCount, kNothing},
    {"pgdemote_direct", kNodeCount, kNothing},
    {"pgdemote_khugepaged", kNodeCount, kNothing},
    {"pgdemote_proactive", kNodeCount, kNothing},
    {"pgscan", kCount, count_of<Stat::kPgscan>},
    {"pgsteal", kCount, count_of<Stat::kPgsteal>},
    {"pgscan_kswapd", kCount, kNothing},
    {"pgscan_direct", kCount, count_of<Stat::kPgscan>},
    {"pgscan_khugepaged", kCount, kNothing},
    {"pgscan_proactive", kCount, kNothing},
    {"pgsteal_kswapd", kCount, kNothing},
    {"pgsteal_direct", kCount, count_of<Stat::kPgsteal>},
    {"pgsteal_khugepaged", kCount, kNothing},
    {"pgsteal_proactive", kCount, kNothing},
    {"pgfault", kCount, kNothing},
    {"pgmajfault", kCount, kNothing},
    {"pgrefill", kCount, kNothing},
    {"pgactivate", kCount, kNothing},
    {"pgdeactivate", kCount, kNothing},
    {"pglazyfree", kCount, kNothing},
    {"pglazyfreed", kCount, kNothing},
    {"swpin_zero", kCount, kNothing},
    {"swpout_zero", kCount, kNothing},
    {"zswpin", kCount, kNothing},
    {"zswpout", kCount, kNothing},
    {"zswpwb", kCount, kNothing},
    {"thp_fault_alloc", kCount, kNothing},
    {"thp_collapse_alloc", kCount, kNothing},
    {"thp_swpout", kCount, kNothing},
    {"thp_swpout_fallback", kCount, kNothing},
    {"pgpgin", kCount, count_of<Stat::kPgpgin>},
    {"pgpgout", kCount, count_of<Stat::kPgpgout>},
    {"page_events", kCount, count_of<Stat::kPageEvents>},
    {"pages_committed", kCount, count_of<Stat::kCommitted>},
    {"pages_purged", kCount, count_of<Stat::kPurged>},
    {"cached", kBytes, [](const StatSource& s) { return s.cached(); }},
    {"stock_bytes", kBytes, [](const StatSource& s) { return s.stock; }},
    {"reserve_used", kBytes,
     [](const StatSource& s) { return s.reserve_used; }},
    {"charged_bytes", kBytes, count_of<Stat::kCharged>},
    {"uncharged_bytes", kBytes, count_of<Stat::kUncharged>},
};

void show_value(const StatRow& row, const StatSource& source, TextBuffer& out) {
  int64_t value = row.value(source);
  if (value < 0) value = 0;
  const bool pages = row.unit == kNodeBytes || row.unit == kBytes;
  out.number(static_cast<uint64_t>(value) << (pages ? kPageShift : 0));
  out.character('\n');
}

}  // namespace

void show_memory_stat(Segment& segment, uint32_t group, TextBuffer& out) {
  const StatSource source = gather_stats(segment, group, true);
  for (const StatRow& row : kStatRows) {
    out.text(row.key).character(' ');
    show_value(row, source, out);
  }
}

void show_numa_stat(Segment& segment, uint32_t group, TextBuffer& out) {
  const StatSource source = gather_stats(segment, group, true);
  for (const StatRow& row : kStatRows) {
    if (row.unit != kNodeBytes && row.unit != kNodeCount) continue;
    out.text(row.key).text(" N0=");
    show_value(row, source, out);
  }
}

}  // namespace control
}  // namespace umemcg
