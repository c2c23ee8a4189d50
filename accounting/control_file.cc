#include "accounting/control_file.h"

#include <cstring>

#include "accounting/mem_cgroup.h"
#include "accounting/process.h"
#include "accounting/stat_line.h"

namespace umemcg {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

uint64_t to_bytes(int64_t pages) {
  return static_cast<uint64_t>(pages > 0 ? pages : 0) << kPageShift;
}

void show_pages(int64_t pages, TextBuffer& out) {
  if (pages >= kPageCounterMax) {
    out.text("max\n");
  } else {
    out.number(to_bytes(pages)).character('\n');
  }
}

void show_current(Segment& s, uint32_t group, TextBuffer& out) {
  show_pages(s.group(group)->memory.usage(), out);
}
void show_peak(Segment& s, uint32_t group, TextBuffer& out) {
  show_pages(s.group(group)->memory.watermark(), out);
}
void show_max(Segment& s, uint32_t group, TextBuffer& out) {
  show_pages(s.group(group)->memory.max(), out);
}
void show_high(Segment& s, uint32_t group, TextBuffer& out) {
  show_pages(s.group(group)->high.load(kRelaxed), out);
}
void show_low(Segment& s, uint32_t group, TextBuffer& out) {
  show_pages(s.group(group)->memory.low(), out);
}
void show_min(Segment& s, uint32_t group, TextBuffer& out) {
  show_pages(s.group(group)->memory.min(), out);
}

void show_counts(const std::atomic<uint64_t> (&counts)[kEvents],
                 TextBuffer& out) {
  for (int e = 0; e < kEvents; ++e) {
    out.text(kEventNames[e]).character(' ');
    out.number(counts[e].load(kRelaxed)).character('\n');
  }
}
void show_events(Segment& s, uint32_t group, TextBuffer& out) {
  show_counts(s.group(group)->events, out);
}
void show_events_local(Segment& s, uint32_t group, TextBuffer& out) {
  show_counts(s.group(group)->events_local, out);
}

void show_procs(Segment& s, uint32_t group, TextBuffer& out) {
  for (uint32_t i = 0; i < s.processes_used(); ++i) {
    ProcessSlot& slot = *s.process(i);
    if (slot.group.load(kRelaxed) == group && process_alive(s, i)) {
      out.signed_number(slot.pid.load(kRelaxed)).character('\n');
    }
  }
}

// What memory.stat is made of, gathered once.
struct StatSource {
  int64_t own[kStats];       // of the subtree
  int64_t records = 0;       // the allocator's, pages
  int64_t stock = 0;         // charged ahead, pages
  int64_t reserve_used = 0;  // over max, pages

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
  const PageCounter& counter = segment.group(group)->memory;
  int64_t over = counter.usage() - counter.max();
  source.reserve_used = over > 0 ? over : 0;
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
    {"kernel", true, kNothing},
    {"percpu", true, [](const StatSource& s) { return s.records; }},
    {"sock", true, kNothing},
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

void show_stat(Segment& segment, uint32_t group, TextBuffer& out) {
  const StatSource source = gather(segment, group);
  for (const StatRow& row : kStatRows) {
    int64_t value = row.value(source);
    if (value < 0) value = 0;
    out.text(row.key).character(' ');
    out.number(row.pages ? to_bytes(value) : static_cast<uint64_t>(value));
    out.character('\n');
  }
}

}  // namespace

constexpr ControlFile kControlFiles[] = {
    {"memory.current", show_current},
    {"memory.peak", show_peak},
    {"memory.min", show_min},
    {"memory.low", show_low},
    {"memory.high", show_high},
    {"memory.max", show_max},
    {"memory.events", show_events},
    {"memory.events.local", show_events_local},
    {"memory.stat", show_stat},
    {"cgroup.procs", show_procs},
    {nullptr, nullptr},
};

const ControlFile* find_control_file(const char* name) {
  for (const ControlFile* file = kControlFiles; file->name != nullptr; ++file) {
    if (std::strcmp(file->name, name) == 0) return file;
  }
  return nullptr;
}

}  // namespace umemcg
