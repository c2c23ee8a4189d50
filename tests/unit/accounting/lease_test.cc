// A lock that survives its holder.

#include "accounting/lease.h"

#include <unistd.h>

#include <thread>
#include <vector>

#include "accounting/process.h"
#include "base/sys.h"
#include "tests/unit/accounting/fixture.h"
#include "tests/unit/support/child.h"

namespace umemcg {
namespace {

using test::Child;
using test::Shared;
using test::wait_until;

constexpr uint32_t kMinute = 60'000;

class LeaseTest : public test::OwnSegmentTest {
 protected:
  std::atomic<uint64_t>& word() { return g_segment.header().oom_lease; }
};

TEST_F(LeaseTest, OneHasItUntilItIsGivenBack) {
  {
    Lease first(g_segment, word(), 0, kMinute);
    EXPECT_TRUE(first.held());
    Lease second(g_segment, word(), 0, kMinute);
    EXPECT_FALSE(second.held());
    Lease other(g_segment, g_segment.header().drain_lease, 0, kMinute);
    EXPECT_TRUE(other.held());
  }
  EXPECT_EQ(word(), 0u);
  EXPECT_TRUE(Lease(g_segment, word(), 0, kMinute).held());
}

TEST_F(LeaseTest, WhoDoesNotGetItWaitsAsLongAsItSays) {
  Lease first(g_segment, word(), 0, kMinute);
  const uint64_t start = sys::monotonic_ns();
  EXPECT_FALSE(Lease(g_segment, word(), 30, kMinute).held());
  const uint64_t waited = (sys::monotonic_ns() - start) / 1'000'000;
  EXPECT_GE(waited, 30u);
  EXPECT_LT(waited, 5000u);
}

TEST_F(LeaseTest, WhoHasItForTooLongLosesIt) {
  auto slow = std::make_unique<Lease>(g_segment, word(), 0, 20);
  ASSERT_TRUE(slow->held());
  Lease next(g_segment, word(), 10'000, 20);
  EXPECT_TRUE(next.held());
  const uint64_t his = word();
  // It is not the slow one's to give back any more.
  slow.reset();
  EXPECT_EQ(word(), his);
}

TEST_F(LeaseTest, AWordFromTheFutureIsTakenOverAsWell) {
  // Of another time namespace, or a damaged file.
  word() =
      ~uint64_t{0} << 44 | static_cast<uint32_t>(sys::coarse_ms() + 500'000);
  EXPECT_FALSE(Lease(g_segment, word(), 0, 20).held());
  EXPECT_TRUE(Lease(g_segment, word(), 10'000, 20).held());
}

TEST_F(LeaseTest, OneAtATimeIsInside) {
  std::atomic<int> inside{0};
  std::atomic<int> most{0};
  std::atomic<int> had{0};
  auto work = [&] {
    for (int i = 0; i < 200; ++i) {
      Lease lease(g_segment, word(), kMinute, kMinute);
      if (!lease.held()) continue;
      if (++inside > 1) ++most;
      if (i % 16 == 0) sys::yield();
      --inside;
      ++had;
    }
  };
  std::vector<std::jthread> threads;
  for (int i = 0; i < 4; ++i) threads.emplace_back(work);
  threads.clear();
  EXPECT_EQ(most, 0);
  EXPECT_EQ(had, 800);
}

TEST_F(LeaseTest, AForkedChildIsNotHeldUpByWhatItsParentHad) {
  Lease mine(g_segment, word(), 0, kMinute);
  Child child([&] {
    EXPECT_FALSE(Lease(g_segment, word(), 0, kMinute).held());
    reset_leases(g_segment);
    EXPECT_TRUE(Lease(g_segment, word(), 0, kMinute).held());
  });
  EXPECT_EQ(child.wait(), 0);
  EXPECT_NE(word(), 0u);
}

class SharedLeaseTest : public test::FileSegmentTest {
 protected:
  void SetUp() override {
    FileSegmentTest::SetUp();
    group_ = test::make_group(domain_, "/a");
  }
  void join() {
    const char* why = "";
    ASSERT_EQ(g_segment.attach_file(path_.c_str(), &why), 0) << why;
    ASSERT_EQ(attach_process(group_, "test"), 0);
  }
  std::atomic<uint64_t>& word() { return domain_.header().oom_lease; }

  uint32_t group_ = kNone;
};

TEST_F(SharedLeaseTest, AKilledHolderHoldsUpNobody) {
  Child holder([&] {
    join();
    Lease lease(g_segment, g_segment.header().oom_lease, 0, kMinute);
    EXPECT_TRUE(lease.held());
    ::pause();
  });
  ASSERT_TRUE(wait_until([&] { return word() != 0; }));
  EXPECT_FALSE(Lease(domain_, word(), 100, kMinute).held());
  holder.kill();
  EXPECT_TRUE(Lease(domain_, word(), 10'000, kMinute).held());
}

// The next process to have its slot would seem to be the holder.
TEST_F(SharedLeaseTest, AReapedHolderHasItNoMore) {
  Child holder([&] {
    join();
    Lease lease(g_segment, g_segment.header().oom_lease, 0, kMinute);
    EXPECT_TRUE(lease.held());
    ::pause();
  });
  ASSERT_TRUE(wait_until([&] { return word() != 0; }));
  EXPECT_EQ(reap_dead_processes(domain_), 0u);
  EXPECT_NE(word(), 0u);
  holder.kill();
  EXPECT_EQ(reap_dead_processes(domain_), 1u);
  EXPECT_EQ(word(), 0u);
}

TEST_F(SharedLeaseTest, AChildLeavesItToItsParent) {
  Child parent([&] {
    join();
    Lease lease(g_segment, g_segment.header().oom_lease, 0, kMinute);
    ASSERT_TRUE(lease.held());
    Child child([] {
      reset_leases(g_segment);
      EXPECT_FALSE(
          Lease(g_segment, g_segment.header().oom_lease, 50, kMinute).held());
    });
    EXPECT_EQ(child.wait(), 0);
  });
  EXPECT_EQ(parent.wait(), 0);
}

}  // namespace
}  // namespace umemcg
