// Who is killed when memory is out, and that nobody else is. The members of the
// domain are children, the killer is the test.

#include "accounting/victim.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>

#include "accounting/process.h"
#include "base/sys.h"
#include "tests/unit/accounting/fixture.h"
#include "tests/unit/support/child.h"

namespace umemcg {
namespace {

using test::Child;
using test::group_at;
using test::make_group;
using test::Shared;
using test::wait_until;

constexpr int kKilled = 256 + SIGKILL;

uint64_t events(Segment& segment, uint32_t group, Event event) {
  return segment.group(group)->events[static_cast<int>(event)];
}

class VictimTest : public test::FileSegmentTest {
 protected:
  void SetUp() override {
    FileSegmentTest::SetUp();
    a_ = make_group(domain_, "/a");
    b_ = make_group(domain_, "/a/b");
    c_ = make_group(domain_, "/a/c");
    group_at(domain_, a_).memory.store_max(1000);
  }

  // A child that joins, charges, and waits to be killed. `score` is its
  // oom_score_adj, which one may always raise.
  std::unique_ptr<Child> member(uint32_t group, int64_t pages, int score = 0) {
    const int before = *joined_;
    auto child = std::make_unique<Child>([=, this] {
      const char* why = "";
      ASSERT_EQ(g_segment.attach_file(path_.c_str(), &why), 0) << why;
      ASSERT_EQ(attach_process(group, "member"), 0);
      if (pages > 0) account_charge(*account_of(group), pages);
      if (score != 0) std::ofstream("/proc/self/oom_score_adj") << score;
      ++*joined_;
      ::pause();
    });
    EXPECT_TRUE(wait_until([&] { return *joined_ > before; }));
    return child;
  }
  uint32_t slot_of(const Child& child) {
    return find_process(domain_, child.pid());
  }
  uint32_t chosen() { return Victim(domain_, a_).process(); }
  // What the killer reads of the child's oom_score_adj; others have 0. (Below 0
  // is not everybody's to write.)
  void set_score(const Child& child, int score) {
    const std::string folder = scratch_.file(std::to_string(child.pid()));
    std::filesystem::create_directories(folder);
    std::ofstream(folder + "/oom_score_adj") << score << '\n';
    scores_ = std::filesystem::path(folder).parent_path();
    g_oom_score_folder = scores_.c_str();
  }
  void TearDown() override {
    g_oom_score_folder = "/proc";
    FileSegmentTest::TearDown();
  }
  uint64_t kills(uint32_t group) {
    return events(domain_, group, Event::kOomKill);
  }
  void kill_one() {
    Victim victim(domain_, a_);
    ASSERT_TRUE(victim.found());
    victim.kill();
  }

  std::string scores_;
  uint32_t a_ = kNone, b_ = kNone, c_ = kNone;
  Shared<std::atomic<int>> joined_;
};

TEST_F(VictimTest, WhoHasMostInTheSubtree) {
  const uint32_t other = make_group(domain_, "/other");
  auto large_elsewhere = member(other, 500);
  auto small = member(b_, 10);
  auto large = member(c_, 20);
  EXPECT_EQ(chosen(), slot_of(*large));
  EXPECT_EQ(charged_in(domain_, slot_of(*large), a_), 20);
  EXPECT_EQ(charged_in(domain_, slot_of(*large), b_), 0);
}

TEST_F(VictimTest, OomScoreAdjCountsInThousandthsOfTheLimit) {
  auto favoured = member(b_, 10, 100);  // 10 + 100 * 1000 / 1000
  auto large = member(c_, 109);
  EXPECT_EQ(chosen(), slot_of(*favoured));
}

TEST_F(VictimTest, WhoHasNothingThereIsNoVictim) {
  auto idle = member(a_, 0);
  EXPECT_EQ(chosen(), kNone);
}

TEST_F(VictimTest, TheKillIsCountedAndTheChargesAreGone) {
  auto small = member(b_, 10);
  auto large = member(c_, 20);
  kill_one();
  EXPECT_EQ(large->wait(), kKilled);
  EXPECT_EQ(kills(c_), 1u);
  EXPECT_EQ(kills(a_), 1u);
  EXPECT_EQ(kills(b_), 0u);
  EXPECT_EQ(events(domain_, a_, Event::kOomGroupKill), 0u);
  EXPECT_TRUE(wait_until([&] { return reap_dead_processes(domain_) == 1; }));
  EXPECT_EQ(group_at(domain_, a_).memory.usage(), 10);
  EXPECT_EQ(::kill(small->pid(), 0), 0);
}

TEST_F(VictimTest, WhoIsOnItsWayOutIsWaitedForAndNotChosen) {
  auto large = member(c_, 20);
  auto small = member(b_, 10);
  EXPECT_FALSE(somebody_ends(domain_, a_));
  mark_ending(*domain_.process(slot_of(*large)), kProcessExiting);
  EXPECT_TRUE(somebody_ends(domain_, a_));
  EXPECT_FALSE(somebody_ends(domain_, b_));
  EXPECT_EQ(chosen(), slot_of(*small));
  // Not for ever.
  domain_.process(slot_of(*large))->ending_ms -= kMostEndingMs;
  EXPECT_FALSE(somebody_ends(domain_, a_));
  EXPECT_EQ(chosen(), slot_of(*small));
  large->kill();
  EXPECT_FALSE(somebody_ends(domain_, a_));
}

TEST_F(VictimTest, AGroupDiesTogetherButForThoseThatNeverDo) {
  auto large = member(c_, 20);
  auto brother = member(b_, 0);
  auto outside = member(make_group(domain_, "/out"), 5);
  group_at(domain_, a_).oom_group = 1;
  kill_one();
  EXPECT_EQ(large->wait(), kKilled);
  EXPECT_EQ(brother->wait(), kKilled);
  EXPECT_EQ(::kill(outside->pid(), 0), 0);
  EXPECT_EQ(kills(a_), 2u);
  EXPECT_EQ(events(domain_, a_, Event::kOomGroupKill), 1u);
}

TEST_F(VictimTest, MinusThousandIsNeverKilled) {
  auto spared = member(b_, 50);
  auto small = member(c_, 5);
  auto favoured = member(b_, 10);
  set_score(*spared, -1000);
  set_score(*small, 0);
  set_score(*favoured, -10);  // 10 - 10 * 1000 / 1000
  group_at(domain_, a_).oom_group = 1;
  EXPECT_EQ(chosen(), slot_of(*small));
  kill_one();
  EXPECT_EQ(small->wait(), kKilled);
  EXPECT_EQ(favoured->wait(), kKilled);
  EXPECT_EQ(::kill(spared->pid(), 0), 0);
  EXPECT_EQ(kills(a_), 2u);
}

TEST_F(VictimTest, NorIsOneOfWhichItCannotBeTold) {
  auto unknown = member(b_, 50);
  auto known = member(c_, 5);
  set_score(*known, 0);
  EXPECT_EQ(chosen(), slot_of(*known));
}

TEST_F(VictimTest, TheHighestGroupThatSaysSoDies) {
  const uint32_t deep = make_group(domain_, "/a/b/deep");
  group_at(domain_, deep).oom_group = 1;
  EXPECT_EQ(oom_group_of(domain_, deep, a_), deep);
  EXPECT_EQ(oom_group_of(domain_, b_, a_), kNone);
  group_at(domain_, b_).oom_group = 1;
  EXPECT_EQ(oom_group_of(domain_, deep, a_), b_);
  // What is set above the group whose limit refused does not count.
  group_at(domain_, a_).oom_group = 1;
  EXPECT_EQ(oom_group_of(domain_, deep, b_), b_);
  EXPECT_EQ(oom_group_of(domain_, c_, b_), kNone);
}

// What a slot says must be true of the process that has its pid.
class VerifyTest : public VictimTest {
 protected:
  void SetUp() override {
    VictimTest::SetUp();
    child_ = member(b_, 10);
    slot_ = domain_.process(slot_of(*child_));
    ASSERT_NE(chosen(), kNone);
  }
  std::unique_ptr<Child> child_;
  ProcessSlot* slot_ = nullptr;
};

TEST_F(VerifyTest, AnotherStartTime) {
  ++slot_->start_time;
  EXPECT_EQ(chosen(), kNone);
}

TEST_F(VerifyTest, AnotherPidNamespace) {
  ++slot_->pid_namespace;
  EXPECT_EQ(chosen(), kNone);
}

TEST_F(VerifyTest, AnothersPid) {
  // (One that has not started in the same tick of the clock.)
  for (const int32_t pid : {::getppid(), 1, 0, -1}) {
    slot_->pid = pid;
    EXPECT_EQ(chosen(), kNone) << pid;
  }
}

TEST_F(VerifyTest, TheDead) {
  child_->kill();
  EXPECT_EQ(chosen(), kNone);
}

TEST_F(VerifyTest, APidThatIsAnothersNowWithoutTheLock) {
  // A process that looks just as the slot says, but does not hold its lock.
  Child stranger([] { ::pause(); });
  child_->kill();
  slot_->pid = stranger.pid();
  slot_->start_time = process_start_time(stranger.pid());
  EXPECT_EQ(chosen(), kNone);
  EXPECT_EQ(::kill(stranger.pid(), 0), 0);
}

TEST_F(VerifyTest, APidThatIsAnothersWithTheLockHeldByWhoWroteIt) {
  Child stranger([&] {
    domain_.detach();
    ++*joined_;
    ::pause();
  });
  ASSERT_TRUE(wait_until([&] { return *joined_ == 2; }));
  slot_->pid = stranger.pid();
  slot_->start_time = process_start_time(stranger.pid());
  EXPECT_EQ(chosen(), kNone);
}

TEST_F(VerifyTest, TheNextBestIsChosenThen) {
  auto next = member(c_, 5);
  EXPECT_EQ(chosen(), slot_of(*child_));
  ++slot_->start_time;
  EXPECT_EQ(chosen(), slot_of(*next));
}

TEST_F(VerifyTest, ItKillsItself) {
  Child self([&] {
    const char* why = "";
    ASSERT_EQ(g_segment.attach_file(path_.c_str(), &why), 0) << why;
    ASSERT_EQ(attach_process(c_, "self"), 0);
    account_charge(*account_of(c_), 30);
    Victim victim(g_segment, a_);
    ASSERT_TRUE(victim.found());
    victim.kill();
    ADD_FAILURE() << "it lives";
  });
  EXPECT_EQ(self.wait(), kKilled);
  EXPECT_EQ(kills(c_), 1u);
  EXPECT_EQ(::kill(child_->pid(), 0), 0);
}

TEST_F(VerifyTest, ItGoesWithItsGroup) {
  group_at(domain_, a_).oom_group = 1;
  Child self([&] {
    const char* why = "";
    ASSERT_EQ(g_segment.attach_file(path_.c_str(), &why), 0) << why;
    ASSERT_EQ(attach_process(c_, "self"), 0);
    Victim(g_segment, a_).kill();
    ADD_FAILURE() << "it lives";
  });
  EXPECT_EQ(self.wait(), kKilled);
  EXPECT_EQ(child_->wait(), kKilled);
  EXPECT_EQ(kills(a_), 2u);
}

}  // namespace
}  // namespace umemcg
