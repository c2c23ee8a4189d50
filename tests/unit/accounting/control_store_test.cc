// Writing control files: what each takes, and what it refuses.

#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "accounting/control_file.h"
#include "accounting/process.h"
#include "accounting/stock_word.h"
#include "tests/unit/accounting/fixture.h"
#include "tests/unit/support/child.h"

namespace umemcg {
namespace {

int store(uint32_t group, const std::string& name, const std::string& value) {
  const ControlFile* file = find_control_file(name.c_str());
  if (file == nullptr) return -1;
  return file->store(g_segment, group, value.data(), value.size());
}

std::string show(uint32_t group, const std::string& name) {
  Text<kControlFileSize> content;
  find_control_file(name.c_str())->show(g_segment, group, content);
  return content.c_str();
}

class ControlStoreTest : public test::OwnSegmentTest {
 protected:
  void SetUp() override {
    OwnSegmentTest::SetUp();
    group_ = test::make_group(g_segment, "/a/b");
  }
  Group& row() { return test::group_at(g_segment, group_); }
  PageCounter& counter() { return row().memory; }
  int store(const std::string& name, const std::string& value) {
    return umemcg::store(group_, name, value);
  }
  std::string show(const std::string& name) {
    return umemcg::show(group_, name);
  }

  uint32_t group_ = kNone;
};

TEST_F(ControlStoreTest, LimitsAreReadBackRoundedDown) {
  for (const char* name :
       {"memory.min", "memory.low", "memory.high", "memory.max"}) {
    EXPECT_EQ(store(name, "5000"), 0) << name;
    EXPECT_EQ(show(name), "4096\n") << name;
    EXPECT_EQ(store(name, "64M"), 0) << name;
    EXPECT_EQ(show(name), "67108864\n") << name;
    EXPECT_EQ(store(name, "0x10000"), 0) << name;
    EXPECT_EQ(show(name), "65536\n") << name;
    EXPECT_EQ(store(name, "0"), 0) << name;
    EXPECT_EQ(show(name), "0\n") << name;
    EXPECT_EQ(store(name, "max"), 0) << name;
    EXPECT_EQ(show(name), "max\n") << name;
  }
}

TEST_F(ControlStoreTest, BlanksAndOneNulAreStripped) {
  for (const std::string& value :
       {std::string("1M\n"), std::string("  1M \t\n"), std::string("1M\0", 3),
        std::string("1M\n\0", 4)}) {
    EXPECT_EQ(store("memory.max", "max"), 0);
    EXPECT_EQ(store("memory.max", value), 0) << value;
    EXPECT_EQ(show("memory.max"), "1048576\n") << value;
  }
}

TEST_F(ControlStoreTest, ABadValueChangesNothing) {
  ASSERT_EQ(store("memory.max", "1M"), 0);
  for (const std::string& value :
       {std::string(), std::string("\n"), std::string("max1"),
        std::string("1.5M"), std::string("-1"), std::string("1M 2M"),
        std::string("M"), std::string("1\0M", 3), std::string("1M\0\0", 4),
        std::string(300, '1')}) {
    for (const char* name :
         {"memory.min", "memory.low", "memory.high", "memory.max"}) {
      EXPECT_EQ(store(name, value), EINVAL) << name << " '" << value << "'";
    }
  }
  EXPECT_EQ(show("memory.max"), "1048576\n");
  EXPECT_EQ(show("memory.high"), "max\n");
  EXPECT_EQ(show("memory.min"), "0\n");
}

TEST_F(ControlStoreTest, MaxBelowUsageIsSetAndDrainsStocks) {
  Account& account = *account_of(group_);
  account_charge(account, 100);
  StockLine& line = *g_segment.line(0);
  g_segment.header().lines_high = 1;
  line.owner = 1;
  line.slots[0] = StockWord(account.ledger_index, 30).bits();
  ASSERT_EQ(store("memory.max", "4M"), 0);  // above usage: nobody is disturbed
  EXPECT_EQ(StockWord(line.slots[0]).pages(), 30u);
  ASSERT_EQ(store("memory.max", "200K"), 0);
  EXPECT_EQ(counter().max(), 50);
  EXPECT_EQ(counter().usage(), 70);
  EXPECT_EQ(StockWord(line.slots[0]).pages(), 0u);
  line.slots[0] = StockWord(account.ledger_index, 20).bits();
  ASSERT_EQ(store("memory.high", "40K"), 0);
  EXPECT_EQ(counter().usage(), 50);
}

// O_NONBLOCK: the limit is set, and nobody is disturbed.
TEST_F(ControlStoreTest, ALimitCanBeSetWithoutReclaim) {
  Account& account = *account_of(group_);
  account_charge(account, 100);
  StockLine& line = *g_segment.line(0);
  g_segment.header().lines_high = 1;
  line.owner = 1;
  line.slots[0] = StockWord(account.ledger_index, 30).bits();
  const Writer nonblocking = {0, true};
  for (const char* name : {"memory.high", "memory.max"}) {
    const ControlFile& file = *find_control_file(name);
    EXPECT_EQ(file.store(g_segment, group_, "200K", 4, nonblocking), 0);
    EXPECT_EQ(show(name), "204800\n");
  }
  EXPECT_EQ(StockWord(line.slots[0]).pages(), 30u);
  EXPECT_EQ(counter().usage(), 100);
}

TEST_F(ControlStoreTest, TheReserveFollowsMax) {
  ASSERT_EQ(store("memory.max", "1G"), 0);
  EXPECT_EQ(counter().reserve(), default_reserve(1 << 18));
  ASSERT_EQ(store("memory.max", "1M"), 0);
  EXPECT_EQ(counter().reserve(), default_reserve(1 << 8));
}

TEST_F(ControlStoreTest, WhatOnlyShowsCannotBeWritten) {
  for (Hierarchy hierarchy : {Hierarchy::kV2, Hierarchy::kV1}) {
    for (const ControlFile* file = control_files(hierarchy); file->name;
         ++file) {
      const unsigned readable = file->show != nullptr ? 0444 : 0;
      EXPECT_EQ(file->mode(), file->set != nullptr ? readable | 0200 : 0444)
          << file->name;
      if (file->set != nullptr) continue;
      EXPECT_EQ(file->store(g_segment, group_, "1", 1), EINVAL) << file->name;
    }
  }
  EXPECT_EQ(store("memory.current", "0"), EINVAL);
  EXPECT_EQ(store("cgroup.controllers", "+memory"), EINVAL);
}

TEST_F(ControlStoreTest, TheRootHasNoLimits) {
  for (const char* name :
       {"memory.min", "memory.low", "memory.high", "memory.max",
        "memory.kmem.limit_in_bytes", "memory.kmem.tcp.limit_in_bytes"}) {
    EXPECT_EQ(umemcg::store(kRootGroup, name, "1M"), EINVAL) << name;
  }
  EXPECT_EQ(umemcg::show(kRootGroup, "memory.max"), "max\n");
}

TEST_F(ControlStoreTest, ARemovedGroupTakesNothing) {
  ASSERT_EQ(remove_group(g_segment, group_), 0);
  EXPECT_EQ(store("memory.max", "1M"), ENODEV);
  EXPECT_EQ(umemcg::store(g_segment.group_count(), "memory.max", "1M"), ENODEV);
}

// There is no open file here that could have a peak of its own: any write
// begins anew for all.
TEST_F(ControlStoreTest, PeaksAndFailuresBeginAnewAtAnyWrite) {
  for (PageCounter* c : {&row().memory, &row().kmem, &row().sock}) {
    c->charge(9);
    c->uncharge(5);
    c->count_failure();
  }
  for (const char* name : {"memory.peak", "memory.kmem.max_usage_in_bytes",
                           "memory.kmem.tcp.max_usage_in_bytes"}) {
    EXPECT_EQ(show(name), "36864\n") << name;
    EXPECT_EQ(store(name, ""), EINVAL) << name;
    EXPECT_EQ(show(name), "36864\n") << name;
    EXPECT_EQ(store(name, "\n"), 0) << name;
    EXPECT_EQ(show(name), "16384\n") << name;
  }
  for (const char* name : {"memory.kmem.failcnt", "memory.kmem.tcp.failcnt"}) {
    EXPECT_EQ(show(name), "1\n") << name;
    EXPECT_EQ(store(name, "whatever"), 0) << name;
    EXPECT_EQ(show(name), "0\n") << name;
  }
  EXPECT_EQ(counter().failcnt(), 1u);
}

TEST_F(ControlStoreTest, KindsHaveLimitsByTheNamesOfVersion1) {
  for (const char* name :
       {"memory.kmem.limit_in_bytes", "memory.kmem.tcp.limit_in_bytes"}) {
    EXPECT_EQ(store(name, "5000"), 0) << name;
    EXPECT_EQ(show(name), "4096\n") << name;
    for (const char* value : {"max", "1.5M", "-2", "", "x"}) {
      EXPECT_EQ(store(name, value), EINVAL) << name << " '" << value << "'";
    }
    EXPECT_EQ(store(name, "-1\n"), 0) << name;
    EXPECT_EQ(show(name), "9223372036854771712\n") << name;
  }
  row().sock.charge(10);
  EXPECT_EQ(store("memory.kmem.tcp.limit_in_bytes", "36864"), EBUSY);
  EXPECT_EQ(row().sock.max(), kPageCounterMax) << "the old limit is kept";
  EXPECT_EQ(store("memory.kmem.tcp.limit_in_bytes", "40960"), 0);
  EXPECT_EQ(row().sock.max(), 10);
  EXPECT_EQ(row().kmem.max(), kPageCounterMax) << "the other has its own";
}

TEST_F(ControlStoreTest, SubtreeControlIsSetAtOnce) {
  const uint32_t above = parent_group(g_segment, group_);
  auto set = [&](const std::string& value) {
    return umemcg::store(above, "cgroup.subtree_control", value);
  };
  EXPECT_EQ(umemcg::show(above, "cgroup.subtree_control"), "memory\n");
  test::make_group(g_segment, "/a/b/c");
  EXPECT_EQ(set("-memory"), EBUSY) << "/a/b hands it on";
  EXPECT_EQ(store("cgroup.subtree_control", "-memory"), 0);
  EXPECT_EQ(show("cgroup.subtree_control"), "\n");
  EXPECT_EQ(set("+memory -memory\n"), 0) << "the last word counts";
  EXPECT_EQ(umemcg::show(above, "cgroup.subtree_control"), "\n");
  EXPECT_EQ(show("cgroup.controllers"), "\n");
  EXPECT_EQ(store("cgroup.subtree_control", "+memory"), ENOENT);
  EXPECT_EQ(set("-memory +memory"), 0);
  EXPECT_EQ(show("cgroup.controllers"), "memory\n");
  for (const char* value :
       {"memory", "+cpu", "+memory cpu", "+", "-", "+memory,-memory"}) {
    EXPECT_EQ(set(value), EINVAL) << value;
  }
  EXPECT_EQ(set(" \n"), 0);
  EXPECT_EQ(umemcg::show(above, "cgroup.subtree_control"), "memory\n");
}

// memory.* is there only where the parent hands the controller on.
TEST_F(ControlStoreTest, WithoutTheControllerThereAreNoFilesOfMemory) {
  const uint32_t above = parent_group(g_segment, group_);
  ASSERT_EQ(store("cgroup.subtree_control", "-memory"), 0);
  ASSERT_EQ(umemcg::store(above, "cgroup.subtree_control", "-memory"), 0);
  for (const ControlFile* file = control_files(Hierarchy::kV2); file->name;
       ++file) {
    const std::string name = file->name;
    const bool memory =
        name.rfind("memory.", 0) == 0 && name != "memory.pressure";
    EXPECT_EQ(has_control_file(g_segment, group_, *file), !memory)
        << file->name;
    EXPECT_TRUE(has_control_file(g_segment, above, *file)) << file->name;
    EXPECT_TRUE(has_control_file(g_segment, kRootGroup, *file)) << file->name;
  }
}

TEST_F(ControlStoreTest, DepthAndDescendantsAreCounts) {
  for (const char* name : {"cgroup.max.depth", "cgroup.max.descendants"}) {
    EXPECT_EQ(store(name, "3"), 0) << name;
    EXPECT_EQ(show(name), "3\n") << name;
    EXPECT_EQ(store(name, "0x10"), 0) << name;
    EXPECT_EQ(show(name), "16\n") << name;
    EXPECT_EQ(store(name, "2147483647"), 0) << name;
    EXPECT_EQ(show(name), "max\n") << name;
    EXPECT_EQ(store(name, "2147483646"), 0) << name;
    for (const char* value : {"x", "3 4", "1K", "0x", "08", ""}) {
      EXPECT_EQ(store(name, value), EINVAL) << name << " '" << value << "'";
    }
    for (const char* value : {"-1", "2147483648", "99999999999999999999"}) {
      EXPECT_EQ(store(name, value), ERANGE) << name << " '" << value << "'";
    }
    EXPECT_EQ(show(name), "2147483646\n") << name;
    EXPECT_EQ(store(name, "max"), 0) << name;
    EXPECT_EQ(show(name), "max\n") << name;
  }
}

TEST_F(ControlStoreTest, DepthAndDescendantsHoldBackNewGroups) {
  uint32_t made;
  ASSERT_EQ(store("cgroup.max.depth", "1"), 0);
  EXPECT_EQ(create_group(g_segment, "/a/b/c", &made), 0);
  EXPECT_EQ(create_group(g_segment, "/a/b/c/d", &made), EAGAIN);
  ASSERT_EQ(store("cgroup.max.depth", "max"), 0);
  ASSERT_EQ(store("cgroup.max.descendants", "1"), 0);
  EXPECT_EQ(create_group(g_segment, "/a/b/e", &made), EAGAIN);
  ASSERT_EQ(store("cgroup.max.descendants", "2"), 0);
  EXPECT_EQ(create_group(g_segment, "/a/b/e", &made), 0);
}

// In a private segment all processes that there are is this one.
TEST_F(ControlStoreTest, AProcessIsMovedByItsNumber) {
  const uint32_t other = test::make_group(g_segment, "/other");
  ASSERT_EQ(attach_process(group_, "test"), 0);
  const std::string pid = std::to_string(::getpid());
  EXPECT_EQ(umemcg::store(other, "cgroup.procs", "0\n"), 0);
  EXPECT_EQ(umemcg::show(other, "cgroup.procs"), pid + "\n");
  EXPECT_EQ(show("cgroup.procs"), "");
  for (const char* value : {"x", "-1", "1 2", ""}) {
    EXPECT_EQ(store("cgroup.procs", value), EINVAL) << value;
  }
  EXPECT_EQ(store("cgroup.procs", "2147483647"), ESRCH);
}

class ControlStoreFileTest : public test::FileSegmentTest {};

// From outside, as the command does; without a process of the writer's own.
TEST_F(ControlStoreFileTest, AProcessOfADomainIsMovedFromOutside) {
  const uint32_t a = test::make_group(domain_, "/a");
  const uint32_t b = test::make_group(domain_, "/b");
  int ready[2], done[2];
  ASSERT_EQ(::pipe(ready), 0);
  ASSERT_EQ(::pipe(done), 0);
  test::Child child([&] {
    const char* why;
    ASSERT_EQ(g_segment.attach_file(path_.c_str(), &why), 0);
    ASSERT_EQ(attach_process(a, "child"), 0);
    char c = 'r';
    ASSERT_EQ(::write(ready[1], &c, 1), 1);
    ASSERT_EQ(::read(done[0], &c, 1), 1);
  });
  char c;
  ASSERT_EQ(::read(ready[0], &c, 1), 1);
  auto show_procs = [&](uint32_t group) {
    Text<64> content;
    find_control_file("cgroup.procs")->show(domain_, group, content);
    return std::string(content.c_str());
  };
  const ControlFile& procs = *find_control_file("cgroup.procs");
  const std::string pid = std::to_string(child.pid());
  EXPECT_EQ(show_procs(a), pid + "\n");
  EXPECT_EQ(procs.store(domain_, b, pid.data(), pid.size()), 0);
  EXPECT_EQ(show_procs(a), "");
  EXPECT_EQ(show_procs(b), pid + "\n");
  EXPECT_EQ(procs.store(domain_, b, "0", 1), ESRCH) << "the writer is not in";
  ASSERT_EQ(::write(done[1], &c, 1), 1);
  ASSERT_EQ(child.wait(), 0);
  EXPECT_EQ(show_procs(b), "") << "it has ended";
  EXPECT_EQ(procs.store(domain_, a, pid.data(), pid.size()), ESRCH);
  for (int fd : {ready[0], ready[1], done[0], done[1]}) ::close(fd);
}

}  // namespace
}  // namespace umemcg
