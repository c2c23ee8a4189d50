// What a worker would tell, look by look.

#include "accounting/listeners.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <map>
#include <vector>

#include "accounting/notify.h"
#include "accounting/process.h"
#include "accounting/psi.h"
#include "base/sys.h"
#include "tests/unit/accounting/fixture.h"
#include "tests/unit/support/child.h"

namespace umemcg {
namespace {

using enum PressureLevel;
using enum PressureMode;

class ListenersTest : public test::OwnSegmentTest {
 protected:
  void SetUp() override {
    OwnSegmentTest::SetUp();
    a_ = test::make_group(g_segment, "/a");
    b_ = test::make_group(g_segment, "/a/b");
  }
  void TearDown() override {
    for (int fd : fds_) {
      stop_listening(fd);
      close(fd);
    }
    EXPECT_FALSE(any_listeners());
    reset_listeners();
    OwnSegmentTest::TearDown();
  }

  static Group& row(uint32_t group) { return test::group_at(g_segment, group); }
  static ListenedGroup named(uint32_t group) {
    return {group, group_id(g_segment, group)};
  }
  int kept(int fd) {
    EXPECT_GE(fd, 0);
    fds_.push_back(fd);
    return fd;
  }
  int threshold(uint32_t group, int64_t pages) {
    return kept(listen_to_threshold(named(group), pages));
  }
  int pressure(uint32_t group, PressureLevel from, PressureMode mode) {
    return kept(listen_to_pressure(named(group), from, mode));
  }
  static void end_window(uint32_t group, PressureLevel level,
                         uint64_t count = 1) {
    row(group).pressure.windows[static_cast<int>(level)] += count;
  }
  // What a look tells; 0: nothing.
  static uint64_t told(int fd) {
    tell_listeners(sys::monotonic_ns());
    uint64_t count = 0;
    return read(fd, &count, sizeof(count)) == sizeof(count) ? count : 0;
  }

  uint32_t a_ = kNone, b_ = kNone;
  std::vector<int> fds_;
};

TEST_F(ListenersTest, OutOfMemoryHereOrAbove) {
  const int upper = kept(listen_to_oom(named(a_)));
  const int lower = kept(listen_to_oom(named(b_)));
  EXPECT_EQ(told(upper) + told(lower), 0u);
  memcg_memory_event(g_segment, a_, Event::kOom);
  EXPECT_EQ(told(upper), 1u);
  EXPECT_EQ(told(lower), 1u);
  memcg_memory_event(g_segment, b_, Event::kOom);
  memcg_memory_event(g_segment, b_, Event::kMax);
  EXPECT_EQ(told(lower), 1u);
  EXPECT_EQ(told(upper), 0u);
}

// As a mount does, which has got it from its writer.
TEST_F(ListenersTest, AnEventFdThatIsGiven) {
  const int given = sys::event_fd();
  EXPECT_EQ(listen_to_threshold(named(a_), 10, given), given);
  row(a_).memory.charge(10);
  EXPECT_EQ(told(given), 1u);
  EXPECT_EQ(stop_listening(given), 0);
  // The listener's own: it is closed.
  EXPECT_EQ(sys::duplicate(given, 0), -EBADF);
  row(a_).memory.uncharge(10);
}

TEST_F(ListenersTest, AThresholdInBothDirections) {
  const int fd = threshold(a_, 10);
  EXPECT_EQ(told(fd), 0u);
  row(b_).memory.charge(9);
  EXPECT_EQ(told(fd), 0u);
  row(b_).memory.charge(1);
  EXPECT_EQ(told(fd), 1u);
  row(b_).memory.charge(50);
  EXPECT_EQ(told(fd), 0u);
  row(b_).memory.uncharge(51);
  EXPECT_EQ(told(fd), 1u);
  row(b_).memory.uncharge(9);
  EXPECT_EQ(told(fd), 0u);
}

TEST_F(ListenersTest, SeveralThresholdsOfAGroup) {
  row(a_).memory.charge(20);
  const int ten = threshold(a_, 10), thirty = threshold(a_, 30);
  EXPECT_EQ(told(ten), 0u);  // it was above when it began
  row(a_).memory.charge(20);
  EXPECT_EQ(told(thirty), 1u);
  EXPECT_EQ(told(ten), 0u);
  row(a_).memory.uncharge(40);
  EXPECT_EQ(told(thirty), 1u);
  EXPECT_EQ(told(ten), 1u);
}

TEST_F(ListenersTest, ThresholdsMakeChargersTell) {
  const uint32_t other = test::make_group(g_segment, "/other");
  uint32_t seen = news(g_segment);
  threshold_events(g_segment, b_, 1000);  // nobody listens
  EXPECT_EQ(news(g_segment), seen);
  const int fd = threshold(a_, 10);
  seen = news(g_segment);
  threshold_events(g_segment, other, 1000);
  EXPECT_EQ(news(g_segment), seen);
  for (int i = 0; i < 127; ++i) threshold_events(g_segment, b_, 1);
  EXPECT_EQ(news(g_segment), seen);
  threshold_events(g_segment, b_, 1);
  EXPECT_EQ(news(g_segment), seen + 1);
  ASSERT_EQ(stop_listening(fd), 0);
  seen = news(g_segment);
  threshold_events(g_segment, b_, 1000);
  EXPECT_EQ(news(g_segment), seen);
}

TEST_F(ListenersTest, EachWindowOnce) {
  end_window(a_, kCritical, 5);  // before anybody listened
  const int low = pressure(a_, kLow, kDefault);
  const int medium = pressure(a_, kMedium, kDefault);
  EXPECT_EQ(told(low), 0u);
  end_window(a_, kLow);
  EXPECT_EQ(told(low), 1u);
  EXPECT_EQ(told(medium), 0u);
  // A look that comes late.
  end_window(a_, kLow, 2);
  end_window(a_, kMedium, 3);
  end_window(a_, kCritical, 4);
  EXPECT_EQ(told(low), 9u);
  EXPECT_EQ(told(medium), 7u);
  EXPECT_EQ(told(low), 0u);
}

// What ended before a listener came is told to those who were there.
TEST_F(ListenersTest, ANewListenerTakesNothingAway) {
  const int first = pressure(a_, kLow, kHierarchy);
  end_window(a_, kLow, 3);
  const int second = pressure(a_, kLow, kHierarchy);
  EXPECT_EQ(told(first), 3u);
  EXPECT_EQ(told(second), 0u);
}

TEST_F(ListenersTest, ByModes) {
  std::map<PressureMode, int> above, below;
  for (PressureMode mode : {kDefault, kHierarchy, kLocal}) {
    above[mode] = pressure(a_, kLow, mode);
  }
  end_window(b_, kLow);
  EXPECT_EQ(told(above[kDefault]), 1u);
  EXPECT_EQ(told(above[kHierarchy]), 1u);
  EXPECT_EQ(told(above[kLocal]), 0u);
  for (PressureMode mode : {kDefault, kHierarchy, kLocal}) {
    below[mode] = pressure(b_, kMedium, mode);
  }
  end_window(b_, kLow);  // too low for those below
  EXPECT_EQ(told(above[kDefault]), 1u);
  EXPECT_EQ(told(above[kHierarchy]), 1u);
  end_window(b_, kMedium);
  for (auto [mode, fd] : below) EXPECT_EQ(told(fd), 1u);
  EXPECT_EQ(told(above[kDefault]), 0u);
  EXPECT_EQ(told(above[kHierarchy]), 1u);
  EXPECT_EQ(told(above[kLocal]), 0u);
}

// Another process of the domain listens below: by its mark.
TEST_F(ListenersTest, ListenersOfOthersCount) {
  const int above = pressure(a_, kLow, kDefault);
  row(b_).pressure.listeners = pressure_bit(kLow, kLocal);
  end_window(b_, kLow);
  EXPECT_EQ(told(above), 0u);
  forget_listeners(g_segment);  // that process has died
  EXPECT_EQ(row(a_).pressure.listeners, 0u);
  end_window(b_, kLow);
  EXPECT_EQ(told(above), 1u);
  EXPECT_NE(row(a_).pressure.listeners, 0u);  // this one has said so again
}

TEST_F(ListenersTest, AStallIsToldOnceAWindow) {
  ASSERT_EQ(attach_process(b_, "test"), 0);
  EXPECT_EQ(listen_to_psi(named(a_), kPsiSome, 0, 500'000), -EINVAL);
  EXPECT_EQ(listen_to_psi(named(a_), kPsiSome, 1000, 499'999), -EINVAL);
  const int fd = kept(listen_to_psi(named(a_), kPsiSome, 1000, 500'000));
  EXPECT_NE(row(a_).psi.triggers, 0u);
  EXPECT_LE(next_look_ns(), sys::monotonic_ns() + 500'000'000);
  EXPECT_EQ(told(fd), 0u);
  StockLine& line = *g_segment.line(0);
  line.owner = 1;
  set_thread_line(&line);
  uint64_t count = 0;
  {
    MemstallScope scope(b_);
    for (int i = 0; i < 30; ++i) {
      sys::sleep_ns(1'000'000);
      count += told(fd);
    }
  }
  EXPECT_EQ(count, 1u);
}

TEST_F(ListenersTest, AGroupThatIsRemovedIsToldOnce) {
  const int fds[] = {threshold(b_, 10), pressure(b_, kLow, kDefault),
                     kept(listen_to_psi(named(b_), kPsiFull, 1000, 500'000))};
  ASSERT_EQ(remove_group_at(g_segment, "/a/b"), 0);
  tell_listeners(sys::monotonic_ns());
  EXPECT_FALSE(any_listeners());
  for (int fd : fds) {
    EXPECT_EQ(told(fd), 1u);
    EXPECT_EQ(told(fd), 0u);
    EXPECT_EQ(stop_listening(fd), EBADF);
  }
}

TEST_F(ListenersTest, EndsWithoutClosing) {
  const int fd = threshold(a_, 10);
  EXPECT_TRUE(any_listeners());
  EXPECT_EQ(stop_listening(fd), 0);
  EXPECT_FALSE(any_listeners());
  EXPECT_EQ(stop_listening(fd), EBADF);
  row(a_).memory.charge(20);
  EXPECT_EQ(told(fd), 0u);
  EXPECT_EQ(row(a_).thresholds, 0u);
}

// A descriptor that was closed without a word makes way for the next.
TEST_F(ListenersTest, ANumberThatIsGivenAgain) {
  const int first = threshold(a_, 10);
  close(first);
  const int second = threshold(a_, 20);
  ASSERT_EQ(first, second);
  row(a_).memory.charge(15);
  EXPECT_EQ(told(second), 0u);
  row(a_).memory.charge(15);
  EXPECT_EQ(told(second), 1u);
  EXPECT_EQ(stop_listening(second), 0);
  EXPECT_FALSE(any_listeners());
}

TEST_F(ListenersTest, ThereAreSoMany) {
  std::vector<int> fds;
  int fd;
  while ((fd = listen_to_threshold(named(a_), 10)) >= 0) fds.push_back(fd);
  // (Or as many descriptors as a process may have.)
  EXPECT_TRUE(fd == -ENOSPC || fd == -EMFILE) << fd;
  EXPECT_LE(fds.size(), static_cast<size_t>(kMostListeners));
  row(a_).memory.charge(15);
  for (int each : {fds.front(), fds.back()}) EXPECT_EQ(told(each), 1u);
  for (int each : fds) {
    EXPECT_EQ(stop_listening(each), 0);
    close(each);
  }
}

TEST_F(ListenersTest, AChildHasNone) {
  const int fd = threshold(a_, 10);
  test::Child child([&] {
    reset_listeners();
    EXPECT_FALSE(any_listeners());
    row(a_).memory.charge(20);  // its own copy
    EXPECT_EQ(told(fd), 0u);
    EXPECT_EQ(stop_listening(fd), EBADF);
  });
  EXPECT_EQ(child.wait(), 0);
  row(a_).memory.charge(20);
  EXPECT_EQ(told(fd), 1u);
}

}  // namespace
}  // namespace umemcg
