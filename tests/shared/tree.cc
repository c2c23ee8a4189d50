#include "tests/shared/tree.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <sstream>
#include <vector>

#include "accounting/mem_cgroup.h"
#include "accounting/process.h"
#include "accounting/psi.h"
#include "accounting/recount.h"
#include "accounting/stock_word.h"
#include "base/text.h"
#include "tests/unit/support/child.h"

namespace umemcg::shared {
namespace {

constexpr SegmentSizes kSizes = {128, 256, 8192, 512};
constexpr int64_t kAny = kPageCounterMax;

// Two names a line of what differs from `wanted`.
class Differences {
 public:
  template <typename Value>
  void expect(const std::string& where, const char* what, Value value,
              Value wanted) {
    if (value != wanted) {
      text_ << where << " " << what << " " << value << ", not " << wanted
            << "\n";
    }
  }
  std::string text() const { return text_.str(); }

 private:
  std::ostringstream text_;
};

std::string name_of(uint32_t group) {
  Text<4096> path;
  group_path(g_segment, group, path);
  return path.c_str();
}

void look_at_counter(Differences& found, const std::string& name,
                     const PageCounter& counter) {
  found.expect(name, "usage", counter.usage(), int64_t{0});
  found.expect(name, "min_usage", counter.min_usage(), int64_t{0});
  found.expect(name, "low_usage", counter.low_usage(), int64_t{0});
  found.expect(name, "sum of min", counter.children_min_usage(), int64_t{0});
  found.expect(name, "sum of low", counter.children_low_usage(), int64_t{0});
}

void look_at_groups(Differences& found) {
  for (uint32_t i = 0; i < g_segment.groups_used(); ++i) {
    const Group& group = *g_segment.group(i);
    if (group.state == GroupState::kFree) continue;
    const std::string name = name_of(i);
    found.expect(name, "uncharged",
                 group.stat[static_cast<int>(Stat::kUncharged)].load(),
                 group.stat[static_cast<int>(Stat::kCharged)].load());
    found.expect(name, "state", static_cast<uint32_t>(group.state.load()),
                 static_cast<uint32_t>(GroupState::kOnline));
    look_at_counter(found, name, group.memory);
    look_at_counter(found, name + " kmem", group.kmem);
    look_at_counter(found, name + " sock", group.sock);
    found.expect(name, "ledgers", group.ledgers.load(), 0u);
    found.expect(name, "threads", group.threads.load(), 0u);
    found.expect(name, "processes", group.processes.load(), 0u);
    found.expect(name, "stalled", psi_stalled(group.psi), 0u);
  }
}

void look_at_rows(Differences& found) {
  for (uint32_t i = 0; i < g_segment.processes_used(); ++i) {
    const ProcessSlot& slot = *g_segment.process(i);
    found.expect("process " + std::to_string(i), "state",
                 static_cast<uint32_t>(slot.state.load()), 0u);
    found.expect("process " + std::to_string(i), "busy", slot.busy.load(), 0u);
  }
  for (uint32_t i = 0; i < g_segment.ledgers_used(); ++i) {
    const Ledger& ledger = *g_segment.ledger(i);
    const std::string name = "ledger " + std::to_string(i);
    found.expect(name, "owner", ledger.owner.load(), uint64_t{0});
    found.expect(name, "pages", ledger.pages.load(), int64_t{0});
    found.expect(name, "kmem", ledger.kmem.load(), int64_t{0});
    found.expect(name, "sock", ledger.sock.load(), int64_t{0});
    found.expect(name, "threads", ledger.threads.load(), 0u);
  }
  for (uint32_t i = 0; i < g_segment.lines_used(); ++i) {
    const StockLine& line = *g_segment.line(i);
    const std::string name = "line " + std::to_string(i);
    found.expect(name, "owner", line.owner.load(), 0u);
    found.expect(name, "busy", line.busy.load(), 0u);
    found.expect(name, "stalled", line.stalled.load(), 0u);
    for (const auto& slot : line.slots) {
      found.expect(name, "pages", StockWord(slot.load()).pages(), 0u);
      found.expect(name, "given", StockWord(slot.load()).given(), 0u);
    }
    found.expect(name, "reservation", line.reservation.load(), uint64_t{0});
  }
}

void look_at_header(Differences& found) {
  const SegmentHeader& header = g_segment.header();
  found.expect("header", "dying", header.dying.load(), 0u);
  found.expect("header", "changing", header.changing.load(), 0u);
  found.expect("header", "recount_due", header.recount_due.load(), 0u);
  found.expect("header", "gate", header.gate.load() & 1, uint64_t{0});
}

int64_t least(int64_t one, int64_t other) { return one < other ? one : other; }

}  // namespace

const TreeRow kTree[kTreeGroups] = {
    {"/a", kAny, 0, 0},           {"/a/1", kAny, 500, 0},
    {"/a/2", 4000, 0, 700},       {"/a/2/x", kAny, 100, 300},
    {"/a/2/y", 1500, 0, 0},       {"/b", 20000, 2000, 4000},
    {"/b/1", kAny, 300, 500},     {"/b/1/1", kAny, 200, 0},
    {"/b/1/1/1", 900, 50, 100},   {"/b/1/1/1/1", kAny, 20, 30},
    {"/b/2", kAny, 0, 0},         {"/c", kAny, 0, 0},
    {"/c/1", 200, 0, 0},          {"/c/2", 64, 0, 0},
    {"/c/3", kAny, 10000, 10000}, {"/d", 50000, 0, 1000},
    {"/d/1", kAny, 0, 0},         {"/d/2", 30000, 100, 100},
    {"/d/2/1", kAny, 5, 1},       {"/e", kAny, 0, 0},
};

uint32_t tree_group(int i) { return find_group(g_segment, kTree[i].path); }

void set_tree_limits() {
  for (int i = 0; i < kTreeGroups; ++i) {
    Group* group = g_segment.group(tree_group(i));
    if (group != nullptr) group->memory.store_max(kTree[i].max);
  }
}

void set_tree() {
  set_tree_limits();
  EXPECT_EQ(set_subtree_control(g_segment, find_group(g_segment, kSwitched),
                                kControllerMemory, 0),
            0);
}

void forbid_growth() {
  for (int i = 0; i < kTreeGroups; ++i) {
    Group* group = g_segment.group(tree_group(i));
    if (group != nullptr) group->memory.store_max(0);
  }
}

Domain::Domain() {
  const std::string path =
      testing::TempDir() + "umemcg-shared." + std::to_string(getpid());
  unlink(path.c_str());
  EXPECT_EQ(g_segment.create_file(path.c_str(), kSizes), 0) << path;
  // As every program that maps a domain does.
  PageCounter::set_link_window(
      g_segment.group(0), g_segment.group(g_segment.group_count() - 1) + 1);
  for (const TreeRow& row : kTree) {
    uint32_t group = kNone;
    EXPECT_EQ(create_group(g_segment, row.path, &group), 0) << row.path;
    g_segment.group(group)->memory.set_min(row.min);
    g_segment.group(group)->memory.set_low(row.low);
  }
  set_tree_limits();
}

Domain::~Domain() {
  unlink(g_segment.path());
  PageCounter::set_link_window(nullptr, reinterpret_cast<void*>(UINTPTR_MAX));
  g_segment.detach();
}

void remove_passing_groups() {
  const uint32_t parent = find_group(g_segment, "/e");
  for (uint32_t i = next_group(g_segment, kNone); i != kNone;
       i = next_group(g_segment, i)) {
    if (parent_group(g_segment, i) == parent) remove_group(g_segment, i);
  }
  release_groups(g_segment);
}

int64_t audit_at_rest() {
  int64_t groups = -1;
  test::wait_until([&groups] {
    reap_dead_processes(g_segment);
    groups = audit(g_segment);
    return groups >= 0;
  });
  return groups;
}

std::string inconsistency() {
  Differences found;
  const uint32_t used = g_segment.groups_used();
  std::vector<int64_t> mins(used), lows(used);
  for (uint32_t i = 0; i < used; ++i) {
    const Group& group = *g_segment.group(i);
    if (group.state == GroupState::kFree) continue;
    const PageCounter& counter = group.memory;
    const uint32_t above = parent_group(g_segment, i);
    if (above >= used) continue;
    mins[above] += counter.min_usage();
    lows[above] += counter.low_usage();
    // (Only what is online is charged, or has its protection.)
    if (group.state != GroupState::kOnline) continue;
    const std::string name = name_of(i);
    // (At rest nobody stands still.)
    found.expect(name, "stalled", psi_stalled(group.psi), 0u);
    found.expect(name, "min_usage", counter.min_usage(),
                 least(counter.usage(), counter.min()));
    found.expect(name, "low_usage", counter.low_usage(),
                 least(counter.usage(), counter.low()));
  }
  for (uint32_t i = 0; i < used; ++i) {
    const Group& group = *g_segment.group(i);
    if (group.state == GroupState::kFree) continue;
    const PageCounter& counter = group.memory;
    found.expect(name_of(i), "sum of min", counter.children_min_usage(),
                 mins[i]);
    found.expect(name_of(i), "sum of low", counter.children_low_usage(),
                 lows[i]);
  }
  return found.text();
}

std::string remains() {
  Differences found;
  look_at_groups(found);
  look_at_rows(found);
  look_at_header(found);
  return found.text();
}

}  // namespace umemcg::shared
