#include "accounting/peak.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <thread>
#include <vector>

#include "accounting/control_file.h"
#include "accounting/process.h"
#include "tests/unit/accounting/fixture.h"
#include "tests/unit/support/child.h"

namespace umemcg {
namespace {

class PeakTest : public test::OwnSegmentTest {
 protected:
  void SetUp() override {
    OwnSegmentTest::SetUp();
    ASSERT_EQ(attach_process(kRootGroup, "test"), 0);
    group_ = test::make_group(g_segment, "/a");
  }
  PageCounter& counter() { return test::group_at(g_segment, group_).memory; }
  int open() {
    return peak_open(g_segment, group_, group_id(g_segment, group_));
  }
  static int64_t read(int peak) { return peak_read(g_segment, peak); }

  uint32_t group_ = kNone;
};

// Up to a peak, and back.
void rise_to(PageCounter& counter, int64_t peak) {
  const int64_t more = peak - counter.usage();
  counter.charge(more);
  counter.uncharge(more);
}

TEST_F(PeakTest, IsThePeakEverUntilItBeginsAnew) {
  rise_to(counter(), 50);
  const int peak = open();
  ASSERT_GE(peak, 0);
  EXPECT_EQ(read(peak), 50);
  rise_to(counter(), 60);
  EXPECT_EQ(read(peak), 60);
  EXPECT_EQ(peak_close(g_segment, peak), 0);
}

TEST_F(PeakTest, BeginsAnewAtTheUsage) {
  counter().charge(10);
  rise_to(counter(), 50);
  const int peak = open();
  EXPECT_EQ(peak_reset(g_segment, peak), 0);
  EXPECT_EQ(read(peak), 10);
  rise_to(counter(), 30);
  EXPECT_EQ(read(peak), 30);
  EXPECT_EQ(counter().watermark(), 50);
}

TEST_F(PeakTest, ReadersAreIndependent) {
  const int one = open(), other = open(), untouched = open();
  rise_to(counter(), 50);
  EXPECT_EQ(peak_reset(g_segment, one), 0);
  rise_to(counter(), 20);
  EXPECT_EQ(peak_reset(g_segment, other), 0);
  EXPECT_EQ(read(one), 20);
  EXPECT_EQ(read(other), 0);
  EXPECT_EQ(read(untouched), 50);
  rise_to(counter(), 5);
  EXPECT_EQ(read(one), 20);
  EXPECT_EQ(read(other), 5);
}

// What the kernel loses: a peak between two new starts of others.
TEST_F(PeakTest, KeepsAPeakThatAnothersNewStartWipedOut) {
  const int keeper = open(), other = open();
  ASSERT_EQ(peak_reset(g_segment, keeper), 0);
  rise_to(counter(), 40);
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(peak_reset(g_segment, other), 0);
    EXPECT_EQ(read(keeper), 40);
  }
  rise_to(counter(), 45);
  ASSERT_EQ(peak_reset(g_segment, other), 0);
  EXPECT_EQ(read(keeper), 45);
  EXPECT_EQ(read(other), 0);
}

TEST_F(PeakTest, GroupsAreApart) {
  const uint32_t b = test::make_group(g_segment, "/b");
  const int in_a = open();
  const int in_b = peak_open(g_segment, b, group_id(g_segment, b));
  ASSERT_EQ(peak_reset(g_segment, in_b), 0);
  rise_to(counter(), 40);
  ASSERT_EQ(peak_reset(g_segment, in_a), 0);
  rise_to(test::group_at(g_segment, b).memory, 7);
  EXPECT_EQ(read(in_a), 0);
  EXPECT_EQ(read(in_b), 7);
}

TEST_F(PeakTest, AWriteToTheFileBeginsAnewForAll) {
  const int anew = open(), untouched = open();
  counter().charge(3);
  ASSERT_EQ(peak_reset(g_segment, anew), 0);
  rise_to(counter(), 50);
  ASSERT_EQ(find_control_file("memory.peak")->store(g_segment, group_, "0", 1),
            0);
  EXPECT_EQ(read(anew), 3);
  EXPECT_EQ(read(untouched), 3);
  EXPECT_EQ(counter().watermark(), 3);
}

TEST_F(PeakTest, ANumberIsGoodForOneReader) {
  const int first = open();
  EXPECT_EQ(peak_close(g_segment, first), 0);
  EXPECT_EQ(peak_close(g_segment, first), EBADF);
  EXPECT_EQ(peak_reset(g_segment, first), EBADF);
  EXPECT_EQ(read(first), -EBADF);
  const int second = open();  // of the same row
  EXPECT_NE(first, second);
  EXPECT_EQ(read(first), -EBADF);
  EXPECT_EQ(read(second), 0);
  EXPECT_EQ(read(-1), -EBADF);
  EXPECT_EQ(read(INT32_MAX), -EBADF);
}

TEST_F(PeakTest, ThereAreSoMany) {
  std::vector<int> peaks;
  for (uint32_t i = 0; i < kPeakReaders; ++i) peaks.push_back(open());
  EXPECT_GE(peaks.back(), 0);
  EXPECT_EQ(open(), -ENOSPC);
  EXPECT_EQ(peak_close(g_segment, peaks[17]), 0);
  EXPECT_GE(open(), 0);
}

TEST_F(PeakTest, AGroupThatIsGoneOrAnother) {
  const int peak = open();
  const uint64_t id = group_id(g_segment, group_);
  ASSERT_EQ(remove_group_at(g_segment, "/a"), 0);
  EXPECT_EQ(read(peak), -ENODEV);
  EXPECT_EQ(peak_reset(g_segment, peak), ENODEV);
  EXPECT_EQ(peak_open(g_segment, group_, id), -ENODEV);
  ASSERT_EQ(test::make_group(g_segment, "/another"), group_);
  EXPECT_EQ(read(peak), -ENODEV);
  EXPECT_EQ(peak_close(g_segment, peak), 0);
}

// A reader that another begins anew beside never shows less than it has seen.
TEST_F(PeakTest, NeverFallsWhileAnotherBeginsAnew) {
  const int keeper = open(), other = open();
  ASSERT_EQ(peak_reset(g_segment, keeper), 0);
  rise_to(counter(), 40);
  std::atomic<bool> done{false};
  std::thread resets([&] {
    for (int i = 0; i < 2000; ++i) peak_reset(g_segment, other);
    done = true;
  });
  int64_t least = INT64_MAX;
  while (!done) {
    const int64_t now = read(keeper);
    if (now < least) least = now;
  }
  resets.join();
  EXPECT_GE(least, 40);
}

class PeakDomainTest : public test::FileSegmentTest {};

TEST_F(PeakDomainTest, OfADeadProcessIsFreeAgain) {
  const uint32_t group = test::make_group(domain_, "/a");
  test::Child child([&] {
    const char* why;
    EXPECT_EQ(g_segment.attach_file(path_.c_str(), &why), 0);
    EXPECT_EQ(attach_process(group, "child"), 0);
    while (peak_open(g_segment, group, group_id(g_segment, group)) >= 0) {
    }
  });
  EXPECT_EQ(child.wait(), 0);
  int open_before = 0, open_after = 0;
  for (const PeakReader& reader : domain_.header().peaks) {
    open_before += reader.process != 0;
  }
  reap_dead_processes(domain_);
  for (const PeakReader& reader : domain_.header().peaks) {
    open_after += reader.process != 0;
  }
  EXPECT_EQ(open_before, static_cast<int>(kPeakReaders));
  EXPECT_EQ(open_after, 0);
}

// A program without a slot, as a mount is.
TEST_F(PeakDomainTest, OfADeadVisitorIsFreeAgain) {
  if (this_process() != kNone) {
    GTEST_SKIP() << "a test before it took a slot; alone it runs";
  }
  const uint32_t group = test::make_group(domain_, "/a");
  const auto visit = [&](auto body) {
    test::Child child([&] {
      const char* why;
      EXPECT_EQ(g_segment.attach_file(path_.c_str(), &why), 0);
      body([&] {
        return peak_open(g_segment, group, group_id(g_segment, group));
      });
    });
    EXPECT_EQ(child.wait(), 0);
  };
  visit([](auto open) {
    for (uint32_t i = 0; i < kPeakReaders; ++i) EXPECT_GE(open(), 0);
    // Its own are not those of a dead one.
    EXPECT_EQ(open(), -ENOSPC);
  });
  visit([&](auto open) {
    const int peak = open();
    EXPECT_GE(peak, 0);
    rise_to(test::group_at(g_segment, group).memory, 30);
    EXPECT_EQ(peak_reset(g_segment, peak), 0);
    EXPECT_EQ(peak_read(g_segment, peak), 0);
    EXPECT_EQ(peak_close(g_segment, peak), 0);
    EXPECT_EQ(peak_read(g_segment, peak), -EBADF);
  });
}

}  // namespace
}  // namespace umemcg
