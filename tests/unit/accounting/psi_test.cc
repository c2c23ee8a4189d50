#include "accounting/psi.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "accounting/control_file.h"
#include "accounting/process.h"
#include "accounting/psi_average.h"
#include "accounting/recount.h"
#include "accounting/tree_change.h"
#include "base/sys.h"
#include "tests/unit/accounting/fixture.h"
#include "tests/unit/accounting/tree_check.h"
#include "tests/unit/support/child.h"

namespace umemcg {
namespace {

using test::Child;
using test::ThreadLine;
using test::wait_until;

constexpr uint64_t kSecond = 1'000'000;

std::string text_of(const PsiGroup& psi) {
  Text<256> text;
  psi_show(psi, text);
  EXPECT_EQ(text.wanted(), text.length());
  return text.c_str();
}

TEST(PsiAverageTest, NothingHasHappened) {
  const PsiGroup psi{};
  EXPECT_EQ(text_of(psi),
            "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"
            "full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n");
}

// 100 (1 - exp(-8/10)) and so on; a quarter of it is full.
TEST(PsiAverageTest, FourPeriodsOfStalling) {
  PsiGroup psi{};
  constexpr uint64_t kStart = 1000 * kSecond;
  psi_average(psi, kStart);
  psi_add_stalled(psi, kStart, 1);
  for (int period = 0; period < 4; ++period) {
    const uint64_t begin = kStart + 2 * kSecond * period;
    psi_average(psi, begin);
    psi_set_productive(psi, begin, false);
    psi_set_productive(psi, begin + kSecond / 2, true);
  }
  psi_average(psi, kStart + 8 * kSecond);
  EXPECT_EQ(text_of(psi),
            "some avg10=55.06 avg60=12.48 avg300=2.63 total=8000000\n"
            "full avg10=13.76 avg60=3.12 avg300=0.65 total=2000000\n");
}

// A stall of the last millisecond of one period and the first of the next,
// which nobody looks at for an hour.
TEST(PsiAverageTest, PeriodsThatNobodyLookedAtCountWithWhatWasInThem) {
  PsiGroup looked{}, not_looked{};
  for (PsiGroup* psi : {&looked, &not_looked}) psi_average(*psi, kSecond);
  for (PsiGroup* psi : {&looked, &not_looked}) {
    psi_add_stalled(*psi, 3 * kSecond - 1000, 1);
  }
  for (uint64_t now = 3 * kSecond; now < 3605 * kSecond; now += 700'000) {
    psi_average(looked, now);
    psi_advance(looked, now);
  }
  for (PsiGroup* psi : {&looked, &not_looked}) {
    psi_average(*psi, 3606 * kSecond);
    psi_add_stalled(*psi, 3606 * kSecond, -1);
  }
  EXPECT_EQ(text_of(looked), text_of(not_looked));
  EXPECT_EQ(text_of(looked).substr(0, 17), "some avg10=100.00");
  EXPECT_EQ(looked.total_us[kPsiSome], 3603 * kSecond + 1000);
}

TEST(PsiAverageTest, AStallThatIsOverFadesToNothing) {
  PsiGroup psi{};
  psi_average(psi, kSecond);
  psi_add_stalled(psi, kSecond, 1);
  psi_average(psi, 101 * kSecond);
  psi_add_stalled(psi, 101 * kSecond, -1);
  psi_average(psi, 7201 * kSecond);
  const std::string faded = "some avg10=0.00 avg60=0.00 avg300=0.00 ";
  EXPECT_EQ(text_of(psi).substr(0, faded.size()), faded);
  EXPECT_EQ(psi.total_us[kPsiSome], 100 * kSecond);
}

// What one is ahead with is not lost, nor more than 100 %.
TEST(PsiAverageTest, MoreThanAPeriodHoldsIsLeftForTheNext) {
  PsiGroup psi{};
  psi_average(psi, 10 * kSecond);
  psi.total_us[kPsiSome] = 3 * kSecond;
  psi_average(psi, 12 * kSecond);
  EXPECT_EQ(psi.averaged_total_us[kPsiSome], 2 * kSecond);
  psi_average(psi, 14 * kSecond);
  EXPECT_EQ(psi.averaged_total_us[kPsiSome], 3 * kSecond);
  PsiGroup even{};
  psi_average(even, 10 * kSecond);
  psi_add_stalled(even, 10 * kSecond, 1);
  psi_average(even, 13 * kSecond);
  psi_add_stalled(even, 13 * kSecond, -1);
  psi_average(even, 14 * kSecond);
  for (int i = 0; i < kPsiAverages; ++i) {
    EXPECT_EQ(psi.average[kPsiSome][i], even.average[kPsiSome][i]) << i;
  }
}

// A domain on a disk outlives a boot; clocks of processors differ a little.
TEST(PsiAverageTest, TimeThatGoesBack) {
  PsiGroup psi{};
  psi_average(psi, 5000 * kSecond);
  psi_add_stalled(psi, 5000 * kSecond, 1);
  psi_advance(psi, 5000 * kSecond - 10);
  EXPECT_EQ(PsiWord(psi.state).since_us(), 5000 * kSecond);
  psi_advance(psi, 5001 * kSecond);
  EXPECT_EQ(psi.total_us[kPsiSome], kSecond);
  psi_average(psi, 3 * kSecond);
  psi_advance(psi, 3 * kSecond);
  psi_average(psi, 5 * kSecond);
  psi_advance(psi, 5 * kSecond);
  EXPECT_EQ(psi.total_us[kPsiSome], 3 * kSecond);
  EXPECT_EQ(psi.averaged_us, 5 * kSecond);
}

// Every microsecond is booked once, whoever books it.
TEST(PsiAverageTest, ThreadsThatComeAndGoAtOnce) {
  constexpr int kThreads = 4, kTurns = 20'000;
  PsiGroup psi{};
  std::atomic<uint64_t> clock{kSecond};
  psi_add_stalled(psi, kSecond, 1);
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (int turn = 0; turn < kTurns; ++turn) {
        psi_add_stalled(psi, clock.fetch_add(3), 1);
        psi_set_productive(psi, clock.fetch_add(1), turn % 2 == 0);
        psi_add_stalled(psi, clock.fetch_add(5), -1);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  psi_add_stalled(psi, clock, -1);
  EXPECT_EQ(psi_stalled(psi), 0u);
  EXPECT_EQ(psi.total_us[kPsiSome], clock - kSecond);
  EXPECT_GT(psi.total_us[kPsiFull], 0u);
  EXPECT_LT(psi.total_us[kPsiFull], psi.total_us[kPsiSome]);
}

class PsiTest : public test::OwnSegmentTest {
 protected:
  void SetUp() override {
    OwnSegmentTest::SetUp();
    group_ = test::make_group(g_segment, "/a/b");
    above_ = parent_group(g_segment, group_);
    beside_ = test::make_group(g_segment, "/a/c");
    ASSERT_EQ(attach_process(group_, "test"), 0);
  }
  static PsiGroup& psi(uint32_t group) {
    return test::group_at(g_segment, group).psi;
  }
  static uint32_t stalled(uint32_t group) { return psi_stalled(psi(group)); }
  static uint64_t total(uint32_t group, PsiState state) {
    psi_update(g_segment, group, sys::monotonic_ns());
    return psi(group).total_us[state];
  }
  static int store(uint32_t group, const char* value) {
    return find_control_file("cgroup.pressure")
        ->store(g_segment, group, value, std::strlen(value));
  }

  uint32_t group_ = kNone, above_ = kNone, beside_ = kNone;
};

TEST_F(PsiTest, AScopeCountsInItsGroupAndThoseAbove) {
  ThreadLine line(0);
  const uint64_t begin = sys::monotonic_ns();
  {
    MemstallScope scope(group_);
    EXPECT_EQ(line->stalled, group_ + 1);
    for (uint32_t group : {group_, above_, kRootGroup}) {
      EXPECT_EQ(stalled(group), 1u) << group;
    }
    EXPECT_EQ(stalled(beside_), 0u);
    {
      // Only the outermost counts, wherever others are.
      MemstallScope inner(beside_);
      EXPECT_EQ(stalled(beside_), 0u);
      EXPECT_EQ(stalled(above_), 1u);
    }
    EXPECT_EQ(line->stalled, group_ + 1);
    sys::sleep_ns(5'000'000);
  }
  const uint64_t passed_us = (sys::monotonic_ns() - begin) / 1000 + 1;
  EXPECT_EQ(line->stalled, 0u);
  for (uint32_t group : {group_, above_, kRootGroup}) {
    EXPECT_EQ(stalled(group), 0u) << group;
    EXPECT_GE(total(group, kPsiSome), 4999u) << group;
    EXPECT_LE(total(group, kPsiSome), passed_us) << group;
    // There is nobody else.
    EXPECT_EQ(total(group, kPsiFull), total(group, kPsiSome)) << group;
  }
  EXPECT_EQ(total(beside_, kPsiSome), 0u);
}

TEST_F(PsiTest, WithoutALineAThreadIsNotCounted) {
  MemstallScope scope(group_);
  EXPECT_EQ(stalled(group_), 0u);
}

TEST_F(PsiTest, AGroupThatIsRemovedMeanwhileIsKept) {
  ThreadLine line(0);
  {
    MemstallScope scope(beside_);
    EXPECT_EQ(remove_group(g_segment, beside_), 0);
    EXPECT_EQ(release_groups(g_segment), 0u);
    EXPECT_EQ(stalled(above_), 1u);
    // Who comes now counts above.
    std::thread other([this] {
      ThreadLine own(1);
      MemstallScope late(beside_);
      EXPECT_EQ(own->stalled, above_ + 1);
      EXPECT_EQ(stalled(above_), 2u);
    });
    other.join();
  }
  EXPECT_EQ(stalled(above_), 0u);
  EXPECT_EQ(release_groups(g_segment), 1u);
}

// A thread with a line, that runs or sleeps as it is told.
class Companion {
 public:
  Companion(uint32_t index, uint32_t group)
      : thread_([this, index, group] {
          ThreadLine line(index);
          line->thread = sys::thread_id();
          line->group = group + 1;
          while (state_ != kEnd) {
            ready_ = true;
            if (state_ == kSleep) state_.wait(kSleep);
          }
        }) {
    EXPECT_TRUE(wait_until([this] { return ready_.load(); }));
  }
  ~Companion() {
    set(kEnd);
    thread_.join();
  }
  enum State { kRun, kSleep, kEnd };
  void set(State state) {
    state_ = state;
    state_.notify_one();
  }

 private:
  std::atomic<State> state_{kRun};
  std::atomic<bool> ready_{false};
  std::thread thread_;
};

TEST_F(PsiTest, WhoRunsIsProductiveWhereItIs) {
  ThreadLine line(0);
  Companion companion(1, beside_);
  {
    MemstallScope scope(group_);
    sys::sleep_ns(3'000'000);
    EXPECT_FALSE(PsiWord(psi(group_).state).productive());
    EXPECT_TRUE(PsiWord(psi(above_).state).productive());
    EXPECT_TRUE(PsiWord(psi(kRootGroup).state).productive());
    EXPECT_GE(total(group_, kPsiFull), 2999u);
    EXPECT_EQ(total(above_, kPsiFull), 0u);
  }
  EXPECT_EQ(total(kRootGroup, kPsiFull), 0u);
}

TEST_F(PsiTest, WhoFallsAsleepIsNot) {
  ThreadLine line(0);
  Companion companion(1, group_);
  MemstallScope scope(group_);
  EXPECT_TRUE(PsiWord(psi(group_).state).productive());
  companion.set(Companion::kSleep);
  EXPECT_TRUE(wait_until([this] {
    sys::sleep_ns(1'000'000);
    return total(group_, kPsiFull) > 0;
  }));
  EXPECT_FALSE(PsiWord(psi(group_).state).productive());
  // The change is taken to have been between two looks, not before the first.
  EXPECT_LT(total(group_, kPsiFull), total(group_, kPsiSome));
}

// And who stands still itself.
TEST_F(PsiTest, WhoStandsStillIsNotProductive) {
  ThreadLine line(0);
  Companion companion(1, group_);
  test::line_at(1).stalled = group_ + 1;
  {
    MemstallScope scope(group_);
    EXPECT_FALSE(PsiWord(psi(group_).state).productive());
  }
  test::line_at(1).stalled = 0;
}

TEST_F(PsiTest, ARecountFindsWhoStandsStill) {
  ThreadLine line(0);
  line->stalled = group_ + 1;
  psi_add_stalled(psi(above_), sys::monotonic_ns() / 1000, 7);
  const auto recounted = [] {
    TreeChange change(g_segment);
    return recount(g_segment).done;
  };
  ASSERT_TRUE(recounted());
  for (uint32_t group : {group_, above_, kRootGroup}) {
    EXPECT_EQ(stalled(group), 1u) << group;
  }
  EXPECT_EQ(stalled(beside_), 0u);
  line->stalled = 0;
  ASSERT_TRUE(recounted());
  for (uint32_t group : {group_, above_, kRootGroup}) {
    EXPECT_EQ(stalled(group), 0u) << group;
  }
}

TEST_F(PsiTest, TheFilesSayAndSwitch) {
  const ControlFile& file = *find_control_file("memory.pressure");
  Text<256> text;
  file.show(g_segment, group_, text);
  EXPECT_EQ(std::string(text.c_str()), text_of(psi(beside_)));
  EXPECT_EQ(file.mode(), 0644u);
  // A trigger needs an open file.
  EXPECT_EQ(file.store(g_segment, group_, "some 1 500000", 13), EOPNOTSUPP);

  ThreadLine line(0);
  ASSERT_EQ(store(group_, "0"), 0);
  EXPECT_FALSE(has_control_file(g_segment, group_, file));
  EXPECT_TRUE(has_control_file(g_segment, above_, file));
  const uint64_t before = total(group_, kPsiSome);
  {
    MemstallScope scope(group_);
    sys::sleep_ns(2'000'000);
    EXPECT_EQ(total(group_, kPsiSome), before);
    EXPECT_GE(total(above_, kPsiSome), 1999u);
    // It counts from here on.
    ASSERT_EQ(store(group_, "1"), 0);
    sys::sleep_ns(2'000'000);
  }
  EXPECT_TRUE(has_control_file(g_segment, group_, file));
  EXPECT_GE(total(group_, kPsiSome), 1999u);
  EXPECT_LT(total(group_, kPsiSome) + 1999, total(above_, kPsiSome));
  for (const char* value : {"", "on", "1 0", "1x"}) {
    EXPECT_EQ(store(group_, value), EINVAL) << value;
  }
  for (const char* value : {"2", "-1"}) {
    EXPECT_EQ(store(group_, value), ERANGE) << value;
  }
}

class PsiDomainTest : public test::FileSegmentTest {};

TEST_F(PsiDomainTest, WhoIsKilledStandsStillNoMore) {
  const uint32_t group = test::make_group(domain_, "/a/b");
  Child child([&] {
    const char* why = "";
    ASSERT_EQ(g_segment.attach_file(path_.c_str(), &why), 0) << why;
    ASSERT_EQ(attach_process(group, "child"), 0);
    ThreadLine line(0);
    MemstallScope scope(group);
    ::pause();
  });
  Group& row = test::group_at(domain_, group);
  ASSERT_TRUE(wait_until([&] { return psi_stalled(row.psi) == 1; }));
  ::usleep(2000);
  child.kill();
  EXPECT_EQ(psi_stalled(row.psi), 1u);
  EXPECT_EQ(reap_dead_processes(domain_), 1u);
  EXPECT_EQ(domain_.header().recount_due, 0u);
  for (uint32_t g = group; g != kNone; g = parent_group(domain_, g)) {
    EXPECT_EQ(psi_stalled(test::group_at(domain_, g).psi), 0u) << g;
  }
  // What it had is kept, and it does not grow.
  psi_update(domain_, group, sys::monotonic_ns());
  const uint64_t total = row.psi.total_us[kPsiSome];
  EXPECT_GE(total, 1999u);
  psi_update(domain_, group, sys::monotonic_ns() + 60'000'000'000);
  EXPECT_EQ(row.psi.total_us[kPsiSome], total);
}

}  // namespace
}  // namespace umemcg
