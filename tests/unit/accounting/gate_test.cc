#include "accounting/gate.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <thread>
#include <vector>

#include "accounting/process.h"
#include "accounting/tree_change.h"
#include "base/sys.h"
#include "tests/unit/accounting/fixture.h"
#include "tests/unit/accounting/tree_check.h"
#include "tests/unit/support/child.h"

namespace umemcg {
namespace {

using test::Child;
using test::Shared;
using test::ThreadLine;
using test::wait_until;

bool gate_open() { return (g_segment.header().gate.load() & 1) == 0; }

class GateTest : public test::OwnSegmentTest {
 protected:
  void SetUp() override {
    OwnSegmentTest::SetUp();
    ASSERT_EQ(attach_process(kRootGroup, "test"), 0);
  }
  uint32_t slot_mark() { return g_segment.process(0)->busy; }
};

TEST_F(GateTest, ASectionMarksTheThreadsLine) {
  ThreadLine line(0);
  {
    ChargeSection section;
    EXPECT_EQ(line->busy, 1u);
    EXPECT_TRUE(anybody_charging(g_segment));
    {
      ChargeSection inner;
      EXPECT_EQ(line->busy, 2u);
      EXPECT_EQ(t_charge_depth, 2u);
    }
    EXPECT_EQ(line->busy, 1u);
  }
  EXPECT_EQ(line->busy, 0u);
  EXPECT_EQ(slot_mark(), 0u);
  EXPECT_EQ(t_charge_depth, 0u);
  EXPECT_FALSE(anybody_charging(g_segment));
}

TEST_F(GateTest, WithoutALineItMarksTheProcess) {
  {
    ChargeSection section;
    EXPECT_EQ(slot_mark(), 1u);
    // The line that it takes meanwhile is not marked off.
    ThreadLine line(0);
    ChargeSection inner;
    EXPECT_EQ(line->busy, 1u);
    EXPECT_EQ(slot_mark(), 1u);
  }
  EXPECT_EQ(slot_mark(), 0u);
  EXPECT_EQ(test::line_at(0).busy, 0u);
}

TEST_F(GateTest, ALineOfNobodyIsNotLookedAt) {
  ThreadLine line(0);
  line->busy = 1;
  EXPECT_TRUE(anybody_charging(g_segment));
  line->owner = 0;
  EXPECT_FALSE(anybody_charging(g_segment));
  line->busy = 0;
}

TEST_F(GateTest, ChargersWaitUntilItIsOpen) {
  TreeChange change(g_segment);
  std::atomic<bool> inside{false};
  std::thread charger;
  bool waited = false, untouched = false;
  {
    GateClosed gate(g_segment);
    ASSERT_TRUE(gate.wait_for_chargers());
    charger = std::thread([&] {
      ChargeSection section;
      inside = true;
    });
    sys::sleep_ns(2'000'000);
    waited = !inside;
    untouched = gate.still_closed();
  }
  charger.join();
  EXPECT_TRUE(inside);
  // A machine that sleeps longer than the bound lets the charger in.
  EXPECT_TRUE(waited || !untouched);
  EXPECT_TRUE(gate_open());
}

TEST_F(GateTest, AChargerGoesOnAfterAWhileAndVoidsIt) {
  TreeChange change(g_segment);
  GateClosed gate(g_segment);
  ASSERT_TRUE(gate.wait_for_chargers());
  const uint64_t since = sys::monotonic_ns();
  std::thread([] { ChargeSection section; }).join();
  EXPECT_GE(sys::monotonic_ns() - since, kGateWaitNs);
  EXPECT_FALSE(gate.still_closed());
  EXPECT_FALSE(anybody_charging(g_segment));
}

TEST_F(GateTest, ASectionThatStaysIsNotWaitedForLong) {
  TreeChange change(g_segment);
  ChargeSection section;
  GateClosed gate(g_segment);
  const uint64_t since = sys::monotonic_ns();
  EXPECT_FALSE(gate.wait_for_chargers());
  EXPECT_GE(sys::monotonic_ns() - since + 1'000'000, kGateWaitNs);
  EXPECT_FALSE(wait_for_sections(g_segment));
}

TEST_F(GateTest, ASectionInAnotherDoesNotWait) {
  TreeChange change(g_segment);
  ChargeSection outer;
  GateClosed gate(g_segment);
  ChargeSection inner;
  EXPECT_TRUE(gate.still_closed());
}

// Its holder was killed.
TEST_F(GateTest, OneThatWasLeftClosedStopsNobody) {
  g_segment.header().gate = 7;
  const uint64_t since = sys::monotonic_ns();
  { ChargeSection section; }
  EXPECT_GE(sys::monotonic_ns() - since, kGateWaitNs);
  EXPECT_EQ(g_segment.header().gate, 8u);
  g_segment.header().gate = 9;
  TreeChange change(g_segment);
  {
    GateClosed gate(g_segment);
    EXPECT_EQ(g_segment.header().gate, 11u);  // a number of its own
    EXPECT_TRUE(gate.still_closed());
  }
  EXPECT_EQ(g_segment.header().gate, 12u);
}

TEST_F(GateTest, HowLongItWasClosedIsKept) {
  TreeChange change(g_segment);
  SegmentHeader& header = g_segment.header();
  {
    GateClosed gate(g_segment);
    sys::sleep_ns(3'000'000);
  }
  EXPECT_GE(header.gate_closed_ns, 3'000'000u);
  EXPECT_EQ(header.gate_longest_ns, header.gate_closed_ns);
  const uint64_t longest = header.gate_longest_ns;
  { GateClosed gate(g_segment); }
  EXPECT_GT(header.gate_closed_ns, longest);
}

// While its thread waits at the gate, a handler is a charger as any other: it
// waits too, or the recount is void.
std::atomic<int> handled{0};
std::atomic<bool> slipped_in{false};

void charge_in_handler(int) {
  ChargeSection section;
  if (!gate_open()) slipped_in = true;
  ++handled;
}

TEST_F(GateTest, AHandlerDoesNotSlipThrough) {
  struct sigaction action = {}, before;
  action.sa_handler = charge_in_handler;
  ASSERT_EQ(::sigaction(SIGUSR1, &action, &before), 0);
  TreeChange change(g_segment);
  handled = 0;
  for (int round = 0; round < 20; ++round) {
    std::atomic<bool> started{false};
    GateClosed gate(g_segment);
    std::thread charger([&] {
      ThreadLine line(0);
      started = true;
      ChargeSection section;
    });
    while (!started) sys::yield();
    sys::sleep_ns(1'000'000);
    ::pthread_kill(charger.native_handle(), SIGUSR1);
    charger.join();
  }
  // On a busy machine some threads have gone before the signal comes.
  EXPECT_GT(handled, 0);
  ::sigaction(SIGUSR1, &before, nullptr);
  EXPECT_FALSE(slipped_in);
}

// Two words that are equal but within a section: whoever closes the gate and
// sees no mark sees them so.
TEST_F(GateTest, NobodyIsInASectionBehindAClosedGate) {
  std::atomic<int64_t> left{0}, right{0};
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (uint32_t i = 0; i < 3; ++i) {
    threads.emplace_back([&, i] {
      ThreadLine line(i);
      while (!stop) {
        ChargeSection section;
        left.fetch_add(1, std::memory_order_relaxed);
        right.fetch_add(1, std::memory_order_relaxed);
      }
    });
  }
  int seen = 0;
  for (int i = 0; i < 3000 && seen < 500; ++i) {
    TreeChange change(g_segment);
    GateClosed gate(g_segment);
    if (!gate.wait_for_chargers()) continue;
    const int64_t l = left.load(std::memory_order_relaxed);
    sys::yield();
    const int64_t r = right.load(std::memory_order_relaxed);
    if (!gate.still_closed()) continue;
    ASSERT_EQ(l, r);
    ++seen;
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_GT(seen, 0);
}

// A process that was killed in a section is known by its mark, and not waited
// for.
TEST(GateOfADomain, ADeadProcessesMarkIsLeft) {
  test::ScratchDirectory scratch;
  ASSERT_EQ(g_segment.create_file(scratch.file("d").c_str(), test::kSmall), 0);
  Shared<std::atomic<bool>> inside;
  {
    Child child([&] {
      ASSERT_EQ(attach_process(kRootGroup, "child"), 0);
      ThreadLine line(0);
      ChargeSection section;
      *inside = true;
      ::pause();
    });
    ASSERT_TRUE(wait_until([&] { return inside->load(); }));
    TreeChange change(g_segment);
    {
      GateClosed gate(g_segment);
      EXPECT_FALSE(gate.wait_for_chargers());
    }
    child.kill();
    GateClosed gate(g_segment);
    EXPECT_TRUE(gate.wait_for_chargers());
    EXPECT_TRUE(anybody_charging(g_segment));
  }
  EXPECT_EQ(reap_dead_processes(g_segment), 1u);
  EXPECT_FALSE(anybody_charging(g_segment));
  EXPECT_EQ(g_segment.header().recounts, 1u);
  g_segment.detach();
}

}  // namespace
}  // namespace umemcg
