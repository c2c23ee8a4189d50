// cgroup.freeze and cgroup.kill, from outside: members of the domain are
// children of the test.

#include "accounting/freezer.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <vector>

#include "accounting/control_file.h"
#include "accounting/kill_group.h"
#include "accounting/process.h"
#include "base/sys.h"
#include "tests/unit/accounting/fixture.h"
#include "tests/unit/support/child.h"

namespace umemcg {
namespace {

using test::Child;
using test::make_group;
using test::Shared;
using test::wait_until;

constexpr int kKilled = 256 + SIGKILL;

class FreezerTest : public test::FileSegmentTest {
 protected:
  void SetUp() override {
    FileSegmentTest::SetUp();
    a_ = make_group(domain_, "/a");
    b_ = make_group(domain_, "/a/b");
    c_ = make_group(domain_, "/c");
  }
  // A child that joins, and counts for as long as it runs.
  std::unique_ptr<Child> start(uint32_t group) {
    return std::make_unique<Child>([=, this] {
      const char* why = "";
      ASSERT_EQ(g_segment.attach_file(path_.c_str(), &why), 0) << why;
      ++*begun_;
      ASSERT_EQ(attach_process(group, "member"), 0);
      ++*joined_;
      for (;;) ::usleep(1000);
    });
  }
  std::unique_ptr<Child> member(uint32_t group) {
    const int before = *joined_;
    std::unique_ptr<Child> child = start(group);
    EXPECT_TRUE(wait_until([&] { return *joined_ > before; }));
    return child;
  }
  static bool stopped(const Child& child) {
    return process_state(child.pid()) == 'T';
  }
  static bool runs(const Child& child) {
    return wait_until([&] { return !stopped(child); });
  }
  std::string events(uint32_t group) {
    Text<64> text;
    find_control_file("cgroup.events")->show(domain_, group, text);
    return text.c_str();
  }
  int write(const char* name, uint32_t group, const std::string& value) {
    return find_control_file(name)->store(domain_, group, value.data(),
                                          value.size());
  }

  Shared<std::atomic<int>> begun_, joined_;
  uint32_t a_ = kNone, b_ = kNone, c_ = kNone;
};

TEST_F(FreezerTest, AllBelowStandStillUntilItIsThawed) {
  const auto up = member(a_), down = member(b_), beside = member(c_);
  ASSERT_EQ(write("cgroup.freeze", a_, "1"), 0);
  // The write has waited for them.
  EXPECT_TRUE(stopped(*up));
  EXPECT_TRUE(stopped(*down));
  EXPECT_FALSE(stopped(*beside));
  EXPECT_EQ(events(a_), "populated 1\nfrozen 1\n");
  EXPECT_EQ(events(b_), "populated 1\nfrozen 1\n");
  EXPECT_EQ(events(c_), "populated 1\nfrozen 0\n");
  EXPECT_EQ(events(kRootGroup), "populated 1\nfrozen 0\n");
  ASSERT_EQ(write("cgroup.freeze", b_, "1"), 0);
  ASSERT_EQ(write("cgroup.freeze", a_, "0"), 0);
  EXPECT_TRUE(runs(*up));
  EXPECT_TRUE(stopped(*down)) << "its own group is frozen";
  EXPECT_EQ(events(a_), "populated 1\nfrozen 0\n");
  ASSERT_EQ(write("cgroup.freeze", b_, "0"), 0);
  EXPECT_TRUE(runs(*down));
  EXPECT_EQ(events(b_), "populated 1\nfrozen 0\n");
}

TEST_F(FreezerTest, AnEmptyGroupIsFrozenAtOnce) {
  ASSERT_EQ(write("cgroup.freeze", a_, "1"), 0);
  EXPECT_EQ(events(b_), "populated 0\nfrozen 1\n");
  // A new group's row does not remember.
  ASSERT_EQ(remove_group(domain_, b_), 0);
  ASSERT_EQ(remove_group(domain_, a_), 0);
  EXPECT_EQ(events(make_group(domain_, "/a")), "populated 0\nfrozen 0\n");
}

TEST_F(FreezerTest, WhoJoinsStandsStill) {
  ASSERT_EQ(write("cgroup.freeze", a_, "1"), 0);
  const auto child = start(b_);
  ASSERT_TRUE(wait_until([&] { return *begun_ == 1 && stopped(*child); }));
  EXPECT_EQ(*joined_, 0);
  EXPECT_EQ(events(b_), "populated 1\nfrozen 1\n");
  ASSERT_EQ(write("cgroup.freeze", a_, "0"), 0);
  EXPECT_TRUE(wait_until([&] { return *joined_ == 1; }));
}

TEST_F(FreezerTest, WhoIsMovedFollows) {
  const auto child = member(c_);
  ASSERT_EQ(write("cgroup.freeze", a_, "1"), 0);
  ASSERT_EQ(write("cgroup.procs", b_, std::to_string(child->pid())), 0);
  EXPECT_TRUE(stopped(*child));
  ASSERT_EQ(write("cgroup.procs", c_, std::to_string(child->pid())), 0);
  EXPECT_TRUE(runs(*child));
}

// Somebody's own stop is not undone.
TEST_F(FreezerTest, WhoWasStoppedByOthersStaysSo) {
  const auto child = member(c_);
  ASSERT_EQ(::kill(child->pid(), SIGSTOP), 0);
  ASSERT_TRUE(wait_until([&] { return stopped(*child); }));
  ASSERT_EQ(write("cgroup.freeze", c_, "0"), 0);
  ASSERT_EQ(write("cgroup.procs", a_, std::to_string(child->pid())), 0);
  ::usleep(20'000);
  EXPECT_TRUE(stopped(*child));
}

// Whoever is stopped does not hold the lock: or nobody could go on.
TEST_F(FreezerTest, NobodyIsStoppedInTheMiddleOfAChange) {
  std::vector<std::unique_ptr<Child>> children;
  for (int i = 0; i < 3; ++i) {
    children.push_back(std::make_unique<Child>([this] {
      const char* why = "";
      ASSERT_EQ(g_segment.attach_file(path_.c_str(), &why), 0) << why;
      ASSERT_EQ(attach_process(a_, "mover"), 0);
      ++*joined_;
      for (uint32_t to = a_;; to = to == a_ ? b_ : a_) {
        move_process(g_segment, this_process(), to);
      }
    }));
  }
  ASSERT_TRUE(wait_until([&] { return *joined_ == 3; }));
  for (int i = 0; i < 20; ++i) {
    ASSERT_EQ(write("cgroup.freeze", a_, "1"), 0) << i;
    ASSERT_TRUE(wait_until([&] {
      return events(a_) == "populated 1\nfrozen 1\n";
    })) << i;
    // (It needs the lock, which it would not get for 2 s.)
    const uint64_t before = sys::monotonic_ns();
    make_group(domain_, "/n" + std::to_string(i % 2));
    remove_group_at(domain_, ("/n" + std::to_string(i % 2)).c_str());
    EXPECT_LT(sys::monotonic_ns() - before, 1'500'000'000u) << i;
    ASSERT_EQ(write("cgroup.freeze", a_, "0"), 0) << i;
  }
}

TEST_F(FreezerTest, AMemberThatFreezesItselfGoesOnLater) {
  const Child child([this] {
    const char* why = "";
    ASSERT_EQ(g_segment.attach_file(path_.c_str(), &why), 0) << why;
    ASSERT_EQ(attach_process(a_, "member"), 0);
    ++*joined_;
    ASSERT_EQ(find_control_file("cgroup.freeze")->store(g_segment, a_, "1", 1),
              0);
    ++*joined_;
    ::pause();
  });
  ASSERT_TRUE(wait_until([&] { return stopped(child); }));
  EXPECT_EQ(*joined_, 1);
  ASSERT_EQ(write("cgroup.freeze", a_, "0"), 0);
  EXPECT_TRUE(wait_until([&] { return *joined_ == 2; }));
}

TEST_F(FreezerTest, AllBelowAreKilledAlsoTheFrozen) {
  const auto up = member(a_), down = member(b_), beside = member(c_);
  ASSERT_EQ(write("cgroup.freeze", b_, "1"), 0);
  ASSERT_EQ(write("cgroup.kill", a_, "1"), 0);
  EXPECT_EQ(up->wait(), kKilled);
  EXPECT_EQ(down->wait(), kKilled);
  EXPECT_TRUE(process_alive(domain_, find_process(domain_, beside->pid())));
  EXPECT_EQ(events(a_), "populated 0\nfrozen 0\n");
  // That was nobody's lack of memory.
  EXPECT_EQ(domain_.group(a_)->events[static_cast<int>(Event::kOomKill)], 0u);
}

// The lock says that a slot's process lives; who that is, nobody can tell.
TEST_F(FreezerTest, WhoCannotBeHeldIsNotKilledAndThatIsSaid) {
  const auto child = member(a_), other = member(a_);
  domain_.process(find_process(domain_, child->pid()))->start_time = 1;
  EXPECT_EQ(write("cgroup.kill", a_, "1"), EPERM);
  EXPECT_EQ(other->wait(), kKilled);
  EXPECT_EQ(::kill(child->pid(), 0), 0);
  EXPECT_NE(process_state(child->pid()), 'Z');
  EXPECT_EQ(write("cgroup.freeze", a_, "1"), 0);
  EXPECT_EQ(events(a_), "populated 1\nfrozen 0\n") << "it is not stopped";
}

TEST_F(FreezerTest, WhoKillsItsOwnGroupGoesLast) {
  const auto other = member(a_);
  Child child([this] {
    const char* why = "";
    ASSERT_EQ(g_segment.attach_file(path_.c_str(), &why), 0) << why;
    ASSERT_EQ(attach_process(b_, "member"), 0);
    find_control_file("cgroup.kill")->store(g_segment, a_, "1", 1);
    FAIL() << "it lives";
  });
  EXPECT_EQ(child.wait(), kKilled);
  EXPECT_EQ(other->wait(), kKilled);
}

TEST_F(FreezerTest, SwitchesAreReadAsTheKernelDoes) {
  for (const char* name : {"cgroup.freeze", "cgroup.kill"}) {
    for (const char* value : {"x", "1 2", "0x", "1K"}) {
      EXPECT_EQ(write(name, a_, value), EINVAL) << name << ' ' << value;
    }
    for (const char* value : {"2", "-1", "99999999999999999999"}) {
      EXPECT_EQ(write(name, a_, value), ERANGE) << name << ' ' << value;
    }
    EXPECT_EQ(write(name, kRootGroup, "1"), EINVAL) << name;
  }
  EXPECT_EQ(write("cgroup.kill", a_, "0"), ERANGE);
  EXPECT_EQ(write("cgroup.freeze", a_, "0x1"), 0);
  EXPECT_EQ(write("cgroup.freeze", a_, "+0\n"), 0);
}

class LoneFreezerTest : public test::OwnSegmentTest {};

TEST_F(LoneFreezerTest, NobodyCouldThawIt) {
  const uint32_t group = make_group(g_segment, "/a");
  EXPECT_EQ(set_frozen(g_segment, group, true), EOPNOTSUPP);
  EXPECT_FALSE(is_frozen(g_segment, group));
}

}  // namespace
}  // namespace umemcg
