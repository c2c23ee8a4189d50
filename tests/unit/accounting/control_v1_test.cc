// The control files by the names of cgroup v1, over the same state.

#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "accounting/control_file.h"
#include "accounting/process.h"
#include "accounting/reclaim_request.h"
#include "base/sys.h"
#include "tests/unit/accounting/fixture.h"

namespace umemcg {
namespace {

// What a round of reclaim gives, and how many there were.
int64_t given = 0;
int rounds = 0;

int64_t give(Segment& segment, uint32_t group, int64_t, bool) {
  ++rounds;
  PageCounter& counter = test::group_at(segment, group).memory;
  const int64_t now = given < counter.usage() ? given : counter.usage();
  counter.uncharge(now);
  return now;
}

class ControlV1Test : public test::OwnSegmentTest {
 protected:
  void SetUp() override {
    OwnSegmentTest::SetUp();
    group_ = test::make_group(g_segment, "/a");
    given = 0;
    rounds = 0;
    g_reclaim_hook.install(give);
  }
  void TearDown() override {
    g_reclaim_hook.install(
        [](Segment& segment, uint32_t group, int64_t pages, bool) {
          return request_reclaim(segment, group, pages, kRequestWaitNs);
        });
    OwnSegmentTest::TearDown();
  }
  Group& row() { return test::group_at(g_segment, group_); }
  PageCounter& counter() { return row().memory; }
  int store(const std::string& name, const std::string& value) {
    const ControlFile* file = find_control_file(name.c_str(), Hierarchy::kV1);
    if (file == nullptr) return -1;
    return file->store(g_segment, group_, value.data(), value.size());
  }
  std::string show_of(uint32_t group, const std::string& name) {
    Text<kControlFileSize> content;
    find_control_file(name.c_str(), Hierarchy::kV1)
        ->show(g_segment, group, content);
    return content.c_str();
  }
  std::string show(const std::string& name) { return show_of(group_, name); }

  uint32_t group_ = kNone;
};

TEST_F(ControlV1Test, ALimitThatUsageCannotBeBroughtUnderIsRefused) {
  counter().charge(100);
  EXPECT_EQ(store("memory.limit_in_bytes", "40K"), EBUSY);
  EXPECT_EQ(show("memory.limit_in_bytes"), "9223372036854771712\n");
  EXPECT_EQ(rounds, 16) << "the retries without progress";
  given = 30;
  EXPECT_EQ(store("memory.limit_in_bytes", "40K"), 0);
  EXPECT_EQ(show("memory.limit_in_bytes"), "40960\n");
  EXPECT_EQ(rounds, 19);
  EXPECT_EQ(counter().usage(), 10);
  EXPECT_EQ(counter().reserve(), default_reserve(10));
  // The same state by its name of v2.
  Text<64> max;
  find_control_file("memory.max")->show(g_segment, group_, max);
  EXPECT_STREQ(max.c_str(), "40960\n");
}

TEST_F(ControlV1Test, TheLimitOfMemorySwapIsNeverBelowTheOther) {
  EXPECT_EQ(store("memory.memsw.limit_in_bytes", "1M"), EINVAL);
  ASSERT_EQ(store("memory.limit_in_bytes", "512K"), 0);
  ASSERT_EQ(store("memory.memsw.limit_in_bytes", "1M"), 0);
  EXPECT_EQ(store("memory.limit_in_bytes", "2M"), EINVAL);
  EXPECT_EQ(store("memory.limit_in_bytes", "-1"), EINVAL);
  EXPECT_EQ(store("memory.memsw.limit_in_bytes", "511K"), EINVAL);
  EXPECT_EQ(store("memory.limit_in_bytes", "1M"), 0);
  EXPECT_EQ(show("memory.memsw.limit_in_bytes"), "1048576\n");
  // memory.max does not ask.
  ASSERT_EQ(find_control_file("memory.max")->store(g_segment, group_, "4M", 2),
            0);
  EXPECT_EQ(show("memory.memsw.limit_in_bytes"), "4194304\n");
}

TEST_F(ControlV1Test, ForceEmptyTakesAllThatItGets) {
  counter().charge(100);
  given = 40;
  EXPECT_EQ(store("memory.force_empty", "0"), 0);
  EXPECT_EQ(rounds, 3);
  EXPECT_EQ(counter().usage(), 0);
  counter().charge(100);
  given = 0;
  EXPECT_EQ(store("memory.force_empty", "0"), 0) << "that is no error";
  EXPECT_EQ(rounds, 3 + 16);
}

TEST_F(ControlV1Test, NotKillingIsWaiting) {
  const auto policy = [this] {
    Text<64> text;
    find_control_file("memory.oom.policy")->show(g_segment, group_, text);
    return std::string(text.c_str());
  };
  const auto set_policy = [](uint32_t group, const std::string& value) {
    ASSERT_EQ(find_control_file("memory.oom.policy")
                  ->store(g_segment, group, value.data(), value.size()),
              0);
  };
  EXPECT_EQ(store("memory.oom_control", "1"), 0);
  EXPECT_EQ(policy(), "wait 86400000\n");
  EXPECT_EQ(show("memory.oom_control"),
            "oom_kill_disable 1\nunder_oom 0\noom_kill 0\n");
  EXPECT_EQ(store("memory.oom_control", "0"), 0);
  EXPECT_EQ(policy(), "fail\n") << "as the group above";
  set_policy(group_, "wait 5");
  EXPECT_EQ(store("memory.oom_control", "1"), 0);
  EXPECT_EQ(policy(), "wait 5\n") << "it waits already";
  set_policy(kRootGroup, "wait 7");
  EXPECT_EQ(store("memory.oom_control", "0"), 0);
  EXPECT_EQ(policy(), "kill\n") << "the group above waits, too";
  set_policy(group_, "callback");
  EXPECT_EQ(store("memory.oom_control", "0"), 0);
  EXPECT_EQ(policy(), "callback\n") << "it does not wait";
}

TEST_F(ControlV1Test, WhoWaitsAboveIsUnderOom) {
  const uint32_t below = test::make_group(g_segment, "/a/b");
  const auto under = [this](uint32_t group) {
    return show_of(group, "memory.oom_control").find("under_oom 1") !=
           std::string::npos;
  };
  EXPECT_FALSE(under(group_));
  row().waiting_ms = sys::coarse_ms();
  EXPECT_TRUE(under(group_));
  EXPECT_TRUE(under(below));
  EXPECT_FALSE(under(kRootGroup));
  // Whoever waited was killed.
  row().waiting_ms = sys::coarse_ms() - 10'000;
  EXPECT_FALSE(under(group_));
}

TEST_F(ControlV1Test, StatIsOfTheGroupThenOfTheSubtree) {
  const uint32_t below = test::make_group(g_segment, "/a/b");
  count_stat(*account_of(group_), Stat::kUsed, 3);
  count_stat(*account_of(below), Stat::kUsed, 4);
  count_stat(*account_of(below), Stat::kCached, 2);
  count_stat(*account_of(below), Stat::kPgpgin, 9);
  counter().store_max(50);
  const auto has = [](const std::string& stat, const std::string& line) {
    return stat.find("\n" + line + "\n") != std::string::npos;
  };
  const std::string stat = show("memory.stat");
  EXPECT_TRUE(has(stat, "rss 12288")) << stat;
  EXPECT_TRUE(has(stat, "pgpgin 0")) << stat;
  EXPECT_TRUE(has(stat, "total_rss 36864")) << stat;
  EXPECT_TRUE(has(stat, "total_inactive_anon 8192")) << stat;
  EXPECT_TRUE(has(stat, "total_pgpgin 9")) << stat;
  EXPECT_TRUE(
      has(show_of(below, "memory.stat"), "hierarchical_memory_limit 204800"));
  EXPECT_TRUE(has(stat, "hierarchical_memsw_limit 9223372036854771712"));
  EXPECT_EQ(show("memory.numa_stat"),
            "total=3 N0=3\nfile=0 N0=0\nanon=3 N0=3\nunevictable=0 N0=0\n"
            "hierarchical_total=9 N0=9\nhierarchical_file=0 N0=0\n"
            "hierarchical_anon=9 N0=9\nhierarchical_unevictable=0 N0=0\n");
}

TEST_F(ControlV1Test, TasksTakeWholeProcesses) {
  const uint32_t other = test::make_group(g_segment, "/other");
  ASSERT_EQ(attach_process(other, "test"), 0);
  g_segment.header().lines_high = 1;
  StockLine& line = *g_segment.line(0);
  line.owner = 1;
  line.thread = 1 << 30;
  EXPECT_EQ(store("tasks", "1073741824"), EOPNOTSUPP) << "another thread";
  EXPECT_EQ(show("cgroup.procs"), "");
  EXPECT_EQ(store("tasks", std::to_string(::getpid())), 0);
  EXPECT_EQ(show("cgroup.procs"), std::to_string(::getpid()) + "\n");
  EXPECT_EQ(store("tasks", "1073741824"), 0) << "it is there";
  EXPECT_EQ(store("tasks", "1073741823"), ESRCH);
  // By its name of v2 no thread is moved at all.
  const ControlFile& threads = *find_control_file("cgroup.threads");
  EXPECT_EQ(threads.store(g_segment, group_, "0", 1), 0);
  EXPECT_EQ(threads.store(g_segment, other, "0", 1), EOPNOTSUPP);
  EXPECT_EQ(threads.store(g_segment, other, "1073741823", 10), ESRCH);
}

TEST_F(ControlV1Test, TheReleaseAgentIsTheRootsAlone) {
  const ControlFile& agent =
      *find_control_file("release_agent", Hierarchy::kV1);
  EXPECT_FALSE(has_control_file(g_segment, group_, agent));
  EXPECT_TRUE(has_control_file(g_segment, kRootGroup, agent));
  EXPECT_EQ(show_of(kRootGroup, "release_agent"), "\n");
  EXPECT_EQ(agent.store(g_segment, kRootGroup, "/bin/agent\n", 11), 0);
  EXPECT_EQ(show_of(kRootGroup, "release_agent"), "/bin/agent\n");
  EXPECT_EQ(agent.store(g_segment, kRootGroup, "\n", 1), 0);
  EXPECT_EQ(show_of(kRootGroup, "release_agent"), "\n");
  // A new group is told of as those around it are.
  ASSERT_EQ(store("notify_on_release", "5"), 0);
  const uint32_t below = test::make_group(g_segment, "/a/b");
  EXPECT_EQ(show_of(below, "notify_on_release"), "1\n");
}

}  // namespace
}  // namespace umemcg
