// The exact text of every control file.

#include "accounting/control_file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>

#include "accounting/event.h"
#include "accounting/memory_stat.h"
#include "accounting/process.h"
#include "accounting/stock_word.h"
#include "tests/unit/accounting/fixture.h"

namespace umemcg {
namespace {

std::string show(uint32_t group, const std::string& name) {
  const ControlFile* file = find_control_file(name.c_str());
  if (file == nullptr) return "no such file";
  Text<kControlFileSize> content;
  file->show(g_segment, group, content);
  EXPECT_EQ(content.wanted(), content.length()) << name << " was cut";
  return content.c_str();
}

class ControlFileTest : public test::OwnSegmentTest {
 protected:
  void SetUp() override {
    OwnSegmentTest::SetUp();
    group_ = test::make_group(g_segment, "/a/b");
  }
  PageCounter& counter() { return g_segment.group(group_)->memory; }
  std::string show(const std::string& name) {
    return umemcg::show(group_, name);
  }

  uint32_t group_ = kNone;
};

std::set<std::string> names_of(Hierarchy hierarchy) {
  std::set<std::string> names;
  for (const ControlFile* file = control_files(hierarchy);
       file->name != nullptr; ++file) {
    EXPECT_EQ(find_control_file(file->name, hierarchy), file);
    EXPECT_TRUE(names.insert(file->name).second) << file->name << " twice";
    EXPECT_NE(file->about, nullptr) << file->name;
    EXPECT_EQ(file->takes != nullptr, file->set != nullptr) << file->name;
  }
  return names;
}

TEST_F(ControlFileTest, AreFoundByTheirNames) {
  const std::set<std::string> v2 = names_of(Hierarchy::kV2);
  const std::set<std::string> v1 = names_of(Hierarchy::kV1);
  EXPECT_EQ(v2.size(), 32u);
  EXPECT_EQ(v1.size(), 30u);
  for (const std::string& name : v2) {
    EXPECT_EQ(find_control_file(name.c_str()),
              find_control_file(name.c_str(), Hierarchy::kV2));
    const bool both = name == "memory.stat" || name == "memory.numa_stat" ||
                      name == "cgroup.procs";
    EXPECT_EQ(v1.contains(name), both) << name;
  }
  for (const std::string& name : v1) {
    if (!v2.contains(name)) {
      EXPECT_EQ(find_control_file(name.c_str()),
                find_control_file(name.c_str(), Hierarchy::kV1));
    }
  }
  for (const char* name : {"", "memory", "memory.currents", "memory.curren"}) {
    EXPECT_EQ(find_control_file(name), nullptr) << name;
  }
}

TEST_F(ControlFileTest, SizesAreBytesAndUnlimitedIsMax) {
  EXPECT_EQ(show("memory.current"), "0\n");
  EXPECT_EQ(show("memory.peak"), "0\n");
  EXPECT_EQ(show("memory.min"), "0\n");
  EXPECT_EQ(show("memory.low"), "0\n");
  EXPECT_EQ(show("memory.high"), "max\n");
  EXPECT_EQ(show("memory.max"), "max\n");
  counter().charge(7);
  counter().uncharge(2);
  counter().set_min(1);
  counter().set_low(2);
  ASSERT_EQ(counter().set_max(100), 0);
  g_segment.group(group_)->high = 50;
  EXPECT_EQ(show("memory.current"), "20480\n");
  EXPECT_EQ(show("memory.peak"), "28672\n");
  EXPECT_EQ(show("memory.min"), "4096\n");
  EXPECT_EQ(show("memory.low"), "8192\n");
  EXPECT_EQ(show("memory.high"), "204800\n");
  EXPECT_EQ(show("memory.max"), "409600\n");
}

TEST_F(ControlFileTest, TheLargestSizeIsExact) {
  ASSERT_EQ(counter().set_max(kPageCounterMax - 1), 0);
  EXPECT_EQ(show("memory.max"), "9223372036854767616\n");
}

TEST_F(ControlFileTest, EventsAreHierarchicalOrLocal) {
  memcg_memory_event(g_segment, group_, Event::kMax);
  memcg_memory_event(g_segment, group_, Event::kMax);
  memcg_memory_event(g_segment, group_, Event::kOom);
  const char* counted =
      "low 0\nhigh 0\nmax 2\noom 1\noom_kill 0\noom_group_kill 0\n"
      "sock_throttled 0\n";
  const char* nothing =
      "low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\noom_group_kill 0\n"
      "sock_throttled 0\n";
  const uint32_t above = parent_group(g_segment, group_);
  EXPECT_EQ(show("memory.events"), counted);
  EXPECT_EQ(show("memory.events.local"), counted);
  EXPECT_EQ(umemcg::show(above, "memory.events"), counted);
  EXPECT_EQ(umemcg::show(above, "memory.events.local"), nothing);
}

TEST_F(ControlFileTest, StatHasTheKernelsKeysAndThenItsOwn) {
  Account& account = *account_of(group_);
  account_charge(account, 40);
  account_uncharge(account, 10);
  ASSERT_EQ(counter().set_max(30), 0);
  counter().store_max(25);
  count_stat(account, Stat::kUsed, 20);
  count_stat(account, Stat::kCached, 6);
  count_stat(account, Stat::kPgpgin, 3);
  count_stat(account, Stat::kPgpgout, 2);
  count_stat(account, Stat::kPageEvents, 50);
  count_stat(account, Stat::kCommitted, 11);
  count_stat(account, Stat::kPurged, 12);
  count_stat(account, Stat::kPgscan, 13);
  count_stat(account, Stat::kPgsteal, 14);
  count_stat(account, Stat::kRefault, 15);
  StockLine& line = *g_segment.line(0);
  line.slots[0] = StockWord(account.ledger_index, 4).bits();
  g_segment.header().lines_high = 1;
  const std::map<std::string, uint64_t> wanted = {
      {"anon", 106496},
      {"inactive_anon", 24576},
      {"active_anon", 81920},
      {"workingset_refault_anon", 15},
      {"pgscan", 13},
      {"pgsteal", 14},
      {"pgscan_direct", 13},
      {"pgsteal_direct", 14},
      {"pgpgin", 3},
      {"pgpgout", 2},
      {"page_events", 50},
      {"pages_committed", 11},
      {"pages_purged", 12},
      {"cached", 24576},
      {"stock_bytes", 16384},
      {"reserve_used", 20480},
      {"charged_bytes", 163840},
      {"uncharged_bytes", 40960}};
  std::istringstream stat(show("memory.stat"));
  std::string key, order;
  size_t found = 0;
  for (uint64_t value; stat >> key >> value;) {
    order += key + ' ';
    const auto row = wanted.find(key);
    EXPECT_EQ(value, row != wanted.end() ? row->second : 0) << key;
    found += row != wanted.end();
  }
  EXPECT_EQ(found, wanted.size());
  EXPECT_EQ(order,
            "anon file kernel kernel_stack pagetables sec_pagetables percpu "
            "sock vmalloc shmem zswap zswapped file_mapped file_dirty "
            "file_writeback swapcached anon_thp file_thp shmem_thp "
            "inactive_anon active_anon inactive_file active_file unevictable "
            "slab_reclaimable slab_unreclaimable slab "
            "workingset_refault_anon workingset_refault_file "
            "workingset_activate_anon workingset_activate_file "
            "workingset_restore_anon workingset_restore_file "
            "workingset_nodereclaim pgdemote_kswapd pgdemote_direct "
            "pgdemote_khugepaged pgdemote_proactive pgscan pgsteal "
            "pgscan_kswapd pgscan_direct pgscan_khugepaged pgscan_proactive "
            "pgsteal_kswapd pgsteal_direct pgsteal_khugepaged "
            "pgsteal_proactive pgfault pgmajfault pgrefill pgactivate "
            "pgdeactivate pglazyfree pglazyfreed swpin_zero swpout_zero "
            "zswpin zswpout zswpwb thp_fault_alloc thp_collapse_alloc "
            "thp_swpout thp_swpout_fallback pgpgin pgpgout page_events "
            "pages_committed pages_purged cached stock_bytes reserve_used "
            "charged_bytes uncharged_bytes ");
}

// Only what lies on a node; nobody knows on which if there are several.
TEST_F(ControlFileTest, NumaStatIsThatOfTheOneNode) {
  count_stat(*account_of(group_), Stat::kUsed, 5);
  const test::ScratchDirectory scratch;
  const std::string nodes = scratch.file("online");
  g_memory_nodes = nodes.c_str();
  const ControlFile& file = *find_control_file("memory.numa_stat");
  const ControlFile& old =
      *find_control_file("memory.numa_stat", Hierarchy::kV1);
  for (const char* content : {"", "0\n", "3\n"}) {
    std::ofstream(nodes) << content;
    EXPECT_TRUE(has_control_file(g_segment, group_, file)) << content;
    EXPECT_TRUE(has_control_file(g_segment, group_, old)) << content;
  }
  for (const char* content : {"0-1\n", "0,2\n"}) {
    std::ofstream(nodes) << content;
    EXPECT_FALSE(has_control_file(g_segment, group_, file)) << content;
    EXPECT_FALSE(has_control_file(g_segment, group_, old)) << content;
  }
  g_memory_nodes = "/sys/devices/system/node/online";
  const std::string stat = show("memory.numa_stat");
  EXPECT_TRUE(stat.starts_with("anon N0=20480\nfile N0=0\nkernel_stack N0=0\n"))
      << stat;
  EXPECT_EQ(stat.find("percpu"), std::string::npos);
  EXPECT_EQ(stat.find("pgscan"), std::string::npos);
}

// The root group's own pages are the allocator's records.
TEST_F(ControlFileTest, TheRootShowsRecordsAsPercpu) {
  count_stat(*account_of(kRootGroup), Stat::kUsed, 3);
  count_stat(*account_of(group_), Stat::kUsed, 5);
  const std::string stat = umemcg::show(kRootGroup, "memory.stat");
  EXPECT_EQ(stat.substr(0, 11), "anon 20480\n");
  EXPECT_NE(stat.find("\npercpu 12288\n"), std::string::npos) << stat;
  EXPECT_EQ(umemcg::show(group_, "memory.stat").substr(0, 11), "anon 20480\n");
}

TEST_F(ControlFileTest, StatFitsEvenWithTheLargestNumbers) {
  Account& account = *account_of(group_);
  for (int i = 0; i < kStats; ++i) {
    count_stat(account, static_cast<Stat>(i), int64_t{1} << 50);
  }
  EXPECT_LT(show("memory.stat").size(), 4095u);
}

TEST_F(ControlFileTest, ProcsAreThoseOfTheGroupItself) {
  EXPECT_EQ(show("cgroup.procs"), "");
  ASSERT_EQ(attach_process(group_, "test"), 0);
  EXPECT_EQ(show("cgroup.procs"), std::to_string(::getpid()) + "\n");
  EXPECT_EQ(umemcg::show(kRootGroup, "cgroup.procs"), "");
}

TEST_F(ControlFileTest, ThreadsAreThoseOfLiveProcesses) {
  ASSERT_EQ(attach_process(group_, "test"), 0);
  g_segment.header().lines_high = 3;
  for (uint32_t i = 0; i < 3; ++i) {
    StockLine& line = *g_segment.line(i);
    line.owner = i == 2 ? 5 : 1;  // in slot 4 there is nobody
    line.thread = static_cast<int32_t>(1000 + i);
    line.group = group_ + 1;
  }
  EXPECT_EQ(show("cgroup.threads"), "1000\n1001\n");
  g_segment.line(0)->group = 1;
  EXPECT_EQ(show("cgroup.threads"), "1001\n");
  EXPECT_EQ(umemcg::show(kRootGroup, "cgroup.threads"), "1000\n");
  // One that was put nowhere is where its process is.
  g_segment.line(0)->group = 0;
  EXPECT_EQ(show("cgroup.threads"), "1000\n1001\n");
  g_segment.process(0)->group = kRootGroup;
  EXPECT_EQ(show("cgroup.threads"), "1001\n");
  EXPECT_EQ(umemcg::show(kRootGroup, "cgroup.threads"), "1000\n");
}

TEST_F(ControlFileTest, AGroupIsPopulatedWhileAProcessIsBelow) {
  const uint32_t above = parent_group(g_segment, group_);
  const uint32_t beside = test::make_group(g_segment, "/beside");
  EXPECT_EQ(umemcg::show(above, "cgroup.events"), "populated 0\nfrozen 0\n");
  ASSERT_EQ(attach_process(group_, "test"), 0);
  EXPECT_EQ(show("cgroup.events"), "populated 1\nfrozen 0\n");
  EXPECT_EQ(umemcg::show(above, "cgroup.events"), "populated 1\nfrozen 0\n");
  EXPECT_EQ(umemcg::show(beside, "cgroup.events"), "populated 0\nfrozen 0\n");
}

TEST_F(ControlFileTest, GroupsBelowAreCounted) {
  // With the controller: the group itself, too, as in the kernel.
  const auto counts = [](int below, int dying) {
    return "nr_descendants " + std::to_string(below) + "\nnr_subsys_memory " +
           std::to_string(below + 1) + "\nnr_dying_descendants " +
           std::to_string(dying) + "\nnr_dying_subsys_memory " +
           std::to_string(dying) + "\n";
  };
  EXPECT_EQ(umemcg::show(kRootGroup, "cgroup.stat"), counts(2, 0));
  const uint32_t c = test::make_group(g_segment, "/a/b/c");
  test::make_group(g_segment, "/d");
  EXPECT_EQ(show("cgroup.stat"), counts(1, 0));
  account_charge(*account_of(c), 1);  // so that its row stays
  ASSERT_EQ(remove_group(g_segment, c), 0);
  EXPECT_EQ(show("cgroup.stat"), counts(0, 1));
  EXPECT_EQ(umemcg::show(kRootGroup, "cgroup.stat"), counts(3, 1));
  ASSERT_EQ(set_subtree_control(g_segment, group_, 0, kControllerMemory), 0);
  test::make_group(g_segment, "/a/b/e");
  EXPECT_EQ(show("cgroup.stat"),
            "nr_descendants 1\nnr_subsys_memory 1\n"
            "nr_dying_descendants 1\nnr_dying_subsys_memory 0\n");
}

TEST_F(ControlFileTest, ControllersAndType) {
  EXPECT_EQ(umemcg::show(kRootGroup, "cgroup.controllers"), "memory\n");
  EXPECT_EQ(show("cgroup.controllers"), "memory\n");
  EXPECT_EQ(show("cgroup.type"), "domain\n");
  EXPECT_EQ(show("cgroup.max.depth"), "max\n");
  EXPECT_EQ(show("cgroup.max.descendants"), "max\n");
}

TEST_F(ControlFileTest, KindsHaveCountersOfTheirOwn) {
  Group& group = test::group_at(g_segment, group_);
  EXPECT_EQ(show("memory.kmem.limit_in_bytes"), "9223372036854771712\n");
  EXPECT_EQ(show("memory.kmem.tcp.limit_in_bytes"), "9223372036854771712\n");
  group.kmem.charge(5);
  group.kmem.uncharge(2);
  group.sock.charge(4);
  ASSERT_EQ(group.sock.set_max(9), 0);
  group.sock.count_failure();
  EXPECT_EQ(show("memory.kmem.usage_in_bytes"), "12288\n");
  EXPECT_EQ(show("memory.kmem.max_usage_in_bytes"), "20480\n");
  EXPECT_EQ(show("memory.kmem.failcnt"), "0\n");
  EXPECT_EQ(show("memory.kmem.tcp.limit_in_bytes"), "36864\n");
  EXPECT_EQ(show("memory.kmem.tcp.usage_in_bytes"), "16384\n");
  EXPECT_EQ(show("memory.kmem.tcp.max_usage_in_bytes"), "16384\n");
  EXPECT_EQ(show("memory.kmem.tcp.failcnt"), "1\n");
  // memory.stat reads them, of the subtree.
  const uint32_t above = parent_group(g_segment, group_);
  for (uint32_t g : {group_, above}) {
    const std::string stat = umemcg::show(g, "memory.stat");
    EXPECT_NE(stat.find("\nkernel 12288\n"), std::string::npos) << stat;
    EXPECT_NE(stat.find("\nsock 16384\n"), std::string::npos) << stat;
  }
}

}  // namespace
}  // namespace umemcg
