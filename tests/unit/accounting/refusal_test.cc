// The log of a group's last refusals, and who has most of it.

#include "accounting/refusal.h"

#include <sys/prctl.h>
#include <unistd.h>

#include <set>
#include <thread>

#include "accounting/consumer.h"
#include "accounting/process.h"
#include "base/sys.h"
#include "tests/unit/accounting/fixture.h"

namespace umemcg {
namespace {

using test::group_at;
using test::make_group;

class RefusalTest : public test::OwnSegmentTest {
 protected:
  void SetUp() override {
    OwnSegmentTest::SetUp();
    group_ = make_group(g_segment, "/a");
    below_ = make_group(g_segment, "/a/b");
    row().memory.store_max(100);
  }
  Group& row() { return group_at(g_segment, group_); }
  void record(int64_t request, Outcome outcome = Outcome::kFailed) {
    int64_t got[kSources] = {};
    for (int i = 0; i < kSources; ++i) got[i] = 10 * i + request;
    record_refusal(g_segment, group_, {below_, outcome, 5, request, 7, got});
  }

  uint32_t group_ = kNone, below_ = kNone;
  RefusalView views_[kRefusals];
};

TEST_F(RefusalTest, AllOfItIsRead) {
  const std::string before = [] {
    char name[16];
    sys::thread_name(name);
    return std::string(name);
  }();
  ::prctl(PR_SET_NAME, "a-long-name-15b");
  row().memory.charge(42);
  record(3, Outcome::kWaited);
  ::prctl(PR_SET_NAME, before.c_str());
  ASSERT_EQ(read_refusals(row(), views_), 1);
  const RefusalView& view = views_[0];
  EXPECT_EQ(view.number, 0u);
  EXPECT_NEAR(static_cast<double>(view.time_ms),
              static_cast<double>(::time(nullptr)) * 1000, 5000);
  EXPECT_EQ(view.group_id, group_id(g_segment, below_));
  EXPECT_EQ(view.pid, ::getpid());
  EXPECT_EQ(view.thread, sys::thread_id());
  EXPECT_EQ(view.outcome, Outcome::kWaited);
  EXPECT_EQ(view.flags, 5u);
  EXPECT_EQ(view.request, 3);
  EXPECT_EQ(view.limit, 100);
  EXPECT_EQ(view.usage, 42);
  EXPECT_EQ(view.cached, 7);
  for (int i = 0; i < kSources; ++i) EXPECT_EQ(view.got[i], 10 * i + 3);
  EXPECT_STREQ(view.name, "a-long-name-15b");
}

TEST_F(RefusalTest, TheLastAreKeptTheNewestFirst) {
  EXPECT_EQ(read_refusals(row(), views_), 0);
  for (int i = 1; i <= 10; ++i) record(i);
  ASSERT_EQ(read_refusals(row(), views_), 4);
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(views_[i].request, 10 - i);
    EXPECT_EQ(views_[i].number, 9u - static_cast<unsigned>(i));
  }
  EXPECT_EQ(row().refusals.count, 10u);
}

TEST_F(RefusalTest, ThoseLetPassDoNotPushOutThoseThatFailed) {
  record(1);
  record(2, Outcome::kKilled);
  for (int i = 3; i <= 20; ++i) record(i, Outcome::kReserve);
  record(21, Outcome::kForced);
  ASSERT_EQ(read_refusals(row(), views_), 4);
  std::set<int64_t> requests;
  for (int i = 0; i < 4; ++i) requests.insert(views_[i].request);
  EXPECT_EQ(requests, (std::set<int64_t>{1, 2, 20, 21}));
  EXPECT_EQ(row().refusals.count, 2u);
  EXPECT_EQ(row().refusals.passed, 19u);
}

TEST_F(RefusalTest, OneThatIsBeingWrittenIsNotRead) {
  record(1);
  record(2);
  ++row().refusals.entries[1].sequence;
  ASSERT_EQ(read_refusals(row(), views_), 1);
  EXPECT_EQ(views_[0].request, 1);
}

TEST_F(RefusalTest, WhoWasKilledInTheMiddleDoesNotKeepItsEntry) {
  row().refusals.entries[0].sequence = 1;
  for (int i = 0; i < 16; ++i) record(i);
  EXPECT_EQ(read_refusals(row(), views_), 4);
}

TEST_F(RefusalTest, WhatIsReadBelongsTogether) {
  std::atomic<bool> done{false};
  auto write = [&](int64_t from) {
    for (int64_t i = 0; i < 5000; ++i) record(from + i);
  };
  int seen = 0;
  {
    std::jthread one(write, 1000);
    std::jthread two(write, 100'000);
    std::jthread reader([&] {
      // Once more when all is written: then there are some.
      for (bool last = false; !last;) {
        last = done;
        RefusalView views[kRefusals];
        const int count = read_refusals(row(), views);
        for (int i = 0; i < count; ++i) {
          ASSERT_EQ(views[i].got[6], views[i].request + 60);
        }
        seen += count;
      }
    });
    one.join();
    two.join();
    done = true;
  }
  EXPECT_GT(seen, 0);
  EXPECT_EQ(row().refusals.count, 10'000u);
}

TEST_F(RefusalTest, DamagedWordsDoNoHarm) {
  record(1);
  Refusal& entry = row().refusals.entries[0];
  entry.outcome = static_cast<Outcome>(77);
  entry.name[0] = ~uint64_t{0};
  entry.name[1] = ~uint64_t{0};
  ASSERT_EQ(read_refusals(row(), views_), 1);
  EXPECT_EQ(views_[0].outcome, Outcome::kFailed);
  EXPECT_EQ(std::string(views_[0].name).size(), 15u);
}

class ConsumerTest : public RefusalTest {
 protected:
  void SetUp() override {
    RefusalTest::SetUp();
    ASSERT_EQ(attach_process(group_, "tes\nt"), 0);
  }
  std::string described() {
    Line line;
    describe_top(g_segment, group_, line);
    return line.c_str();
  }
};

TEST_F(ConsumerTest, NobodyHasAnything) { EXPECT_EQ(described(), "nobody"); }

TEST_F(ConsumerTest, GroupsAndProcessesLargestFirst) {
  const uint32_t c = make_group(g_segment, "/a/c");
  const uint32_t d = make_group(g_segment, "/a/d");
  make_group(g_segment, "/a/empty");
  account_charge(*account_of(group_), 256);
  group_at(g_segment, make_group(g_segment, "/a/b/deep")).memory.charge(512);
  group_at(g_segment, c).memory.charge(1);
  group_at(g_segment, d).memory.charge(1024);
  const std::string self = "tes?t (" + std::to_string(::getpid()) + ") 1.0 MiB";
  EXPECT_EQ(described(), "/a/d 4.0 MiB, /a/b 2.0 MiB, " + self);
  Consumer top[8];
  EXPECT_EQ(top_consumers(g_segment, group_, top, 8), 4u);
  EXPECT_EQ(top_consumers(g_segment, group_, top, 2), 2u);
  EXPECT_EQ(top[1].index, below_);
}

}  // namespace
}  // namespace umemcg
