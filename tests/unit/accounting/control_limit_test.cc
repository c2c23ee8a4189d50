// Writing memory.high, memory.max and memory.reclaim: what is reclaimed, how
// often it is tried, and what is taken.

#include <gtest/gtest.h>

#include <cerrno>
#include <string>
#include <vector>

#include "accounting/control_file.h"
#include "accounting/reclaim_request.h"
#include "tests/unit/accounting/fixture.h"

namespace umemcg {
namespace {

// What reclaim was asked for, and what it gives each time.
struct Asked {
  int64_t pages;
  bool proactive;
};
std::vector<Asked> asked;
int64_t given = 0;

int64_t give(Segment& segment, uint32_t group, int64_t pages, bool proactive) {
  asked.push_back({pages, proactive});
  PageCounter& counter = test::group_at(segment, group).memory;
  const int64_t now = given < counter.usage() ? given : counter.usage();
  counter.uncharge(now);
  return now;
}

class ControlLimitTest : public test::OwnSegmentTest {
 protected:
  void SetUp() override {
    OwnSegmentTest::SetUp();
    group_ = test::make_group(g_segment, "/a");
    asked.clear();
    given = 0;
    g_reclaim_hook.install(give);
  }
  void TearDown() override {
    g_reclaim_hook.install(
        [](Segment& segment, uint32_t group, int64_t pages, bool) {
          return request_reclaim(segment, group, pages, kRequestWaitNs);
        });
    OwnSegmentTest::TearDown();
  }
  PageCounter& counter() { return test::group_at(g_segment, group_).memory; }
  int store(const std::string& name, const std::string& value) {
    const ControlFile* file = find_control_file(name.c_str());
    if (file == nullptr) return -1;
    return file->store(g_segment, group_, value.data(), value.size());
  }
  std::string show(const std::string& name) {
    Text<kControlFileSize> content;
    find_control_file(name.c_str())->show(g_segment, group_, content);
    return content.c_str();
  }

  uint32_t group_ = kNone;
};

TEST_F(ControlLimitTest, WhatIsOverALimitIsReclaimed) {
  for (const char* name : {"memory.high", "memory.max"}) {
    counter().charge(100);
    given = 30;
    asked.clear();
    EXPECT_EQ(store(name, "128K"), 0) << name;
    EXPECT_EQ(counter().usage(), 10) << name;
    ASSERT_EQ(asked.size(), 3u) << name;
    EXPECT_EQ(asked[0].pages, 68) << name;
    EXPECT_EQ(asked[1].pages, 38) << name;
    EXPECT_FALSE(asked[0].proactive) << name;
    EXPECT_EQ(store(name, "max"), 0);
    counter().uncharge(counter().usage());
  }
}

TEST_F(ControlLimitTest, BelowALimitNobodyIsDisturbed) {
  counter().charge(100);
  EXPECT_EQ(store("memory.high", "400K"), 0);
  EXPECT_EQ(store("memory.max", "400K"), 0);
  EXPECT_TRUE(asked.empty());
}

TEST_F(ControlLimitTest, SixteenFruitlessTriesAreEnough) {
  counter().charge(100);
  EXPECT_EQ(store("memory.high", "0"), 0);
  EXPECT_EQ(asked.size(), 16u);
  EXPECT_EQ(show("memory.high"), "0\n");
  asked.clear();
  EXPECT_EQ(store("memory.max", "40K"), 0);
  EXPECT_EQ(asked.size(), 16u);
  EXPECT_EQ(counter().max(), 10);
  EXPECT_EQ(counter().usage(), 100);
}

// The policy `kill`: nobody is there who could be killed.
TEST_F(ControlLimitTest, WithoutAVictimItStaysOver) {
  ASSERT_EQ(store("memory.oom.policy", "kill"), 0);
  counter().charge(100);
  EXPECT_EQ(store("memory.max", "40K"), 0);
  EXPECT_EQ(counter().usage(), 100);
  EXPECT_NE(show("memory.events").find("oom 1\n"), std::string::npos);
  EXPECT_NE(show("memory.events").find("oom_kill 0\n"), std::string::npos);
}

TEST_F(ControlLimitTest, AReclaimThatNeverEndsDoes) {
  g_reclaim_hook.install(
      [](Segment&, uint32_t, int64_t, bool) -> int64_t { return 1; });
  counter().charge(100);
  EXPECT_EQ(store("memory.high", "0"), 0);
  EXPECT_EQ(store("memory.max", "0"), 0);
  EXPECT_EQ(store("memory.reclaim", "1G"), EAGAIN);
}

TEST_F(ControlLimitTest, ReclaimAsksForAQuarterOfWhatIsLeft) {
  counter().charge(1000);
  given = 40;
  EXPECT_EQ(store("memory.reclaim", "400K"), 0);
  ASSERT_EQ(asked.size(), 3u);
  EXPECT_EQ(asked[0].pages, 25);
  EXPECT_EQ(asked[1].pages, 15);
  EXPECT_EQ(asked[2].pages, 5);
  EXPECT_TRUE(asked[0].proactive);
  EXPECT_EQ(counter().usage(), 880);
}

TEST_F(ControlLimitTest, ReclaimOfTooMuchIsEagain) {
  counter().charge(100);
  EXPECT_EQ(store("memory.reclaim", "400K"), EAGAIN);
  EXPECT_EQ(asked.size(), 17u);
  given = 30;
  EXPECT_EQ(store("memory.reclaim", "1M"), EAGAIN);
  EXPECT_EQ(counter().usage(), 0);
}

TEST_F(ControlLimitTest, ReclaimTakesBytesAndASwappiness) {
  for (const char* value :
       {"0", "4095", "0 swappiness=60", "0 swappiness=0", "0  swappiness=200",
        "0 swappiness=max", "0\tswappiness=1 swappiness=2", "0x0"}) {
    EXPECT_EQ(store("memory.reclaim", value), 0) << value;
  }
  EXPECT_TRUE(asked.empty());
  for (const char* value :
       {"", " ", "\n", " \t\n", "max", "swappiness=60", "swappiness=60 1M",
        "1M swappiness=201", "1M swappiness=", "1M swappiness=-1",
        "1M swappiness", "1M swap=1", "1M 1M", "1.5M", "-1", "M",
        "1M swappiness=6x", "1M swappiness=+6"}) {
    EXPECT_EQ(store("memory.reclaim", value), EINVAL) << value;
  }
  EXPECT_EQ(store("memory.reclaim", std::string(100, '1')), EINVAL);
  EXPECT_TRUE(asked.empty());
  const ControlFile& file = *find_control_file("memory.reclaim");
  EXPECT_EQ(file.mode(), 0200u);
  EXPECT_EQ(file.show, nullptr);
}

TEST_F(ControlLimitTest, TheRootCanBeReclaimed) {
  const ControlFile& file = *find_control_file("memory.reclaim");
  EXPECT_EQ(file.store(g_segment, kRootGroup, "0", 1), 0);
}

TEST_F(ControlLimitTest, LimitsThatAreOnlyKept) {
  EXPECT_EQ(show("memory.soft_limit_in_bytes"), "9223372036854771712\n");
  EXPECT_EQ(store("memory.soft_limit_in_bytes", "5000"), 0);
  EXPECT_EQ(show("memory.soft_limit_in_bytes"), "4096\n");
  EXPECT_EQ(test::group_at(g_segment, group_).soft_limit, 1);
  EXPECT_EQ(store("memory.soft_limit_in_bytes", "max"), EINVAL);
  EXPECT_EQ(store("memory.soft_limit_in_bytes", "-1"), 0);
  EXPECT_EQ(show("memory.soft_limit_in_bytes"), "9223372036854771712\n");
  for (const char* name : {"memory.swap.high", "memory.swap.max"}) {
    EXPECT_EQ(show(name), "max\n") << name;
    EXPECT_EQ(store(name, "1M"), 0) << name;
    EXPECT_EQ(show(name), "1048576\n") << name;
    EXPECT_EQ(store(name, "-1"), EINVAL) << name;
    EXPECT_EQ(store(name, "max"), 0) << name;
  }
  EXPECT_EQ(show("memory.swap.current"), "0\n");
  EXPECT_EQ(store("memory.swap.current", "0"), EINVAL);
  EXPECT_EQ(store("memory.swap.peak", "0"), 0);
  EXPECT_EQ(show("memory.swap.peak"), "0\n");
  EXPECT_EQ(show("memory.swap.events"), "high 0\nmax 0\nfail 0\n");
}

}  // namespace
}  // namespace umemcg
