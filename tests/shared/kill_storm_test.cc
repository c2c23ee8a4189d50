// Eight processes charge and free at random in 20 groups of one domain, while
// one of them is killed every 20 ms and another takes its place.
//
// While it runs every look under the gate finds counters and ledgers the same;
// when all are gone every counter is 0. UMEMCG_STRESS_SECONDS: how long.

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <string>

#include "accounting/mem_cgroup.h"
#include "accounting/process.h"
#include "accounting/recount.h"
#include "base/units.h"
#include "tests/shared/crew.h"
#include "tests/shared/settings.h"
#include "tests/shared/tree.h"

namespace umemcg::shared {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr int kWorkers = 8;
constexpr milliseconds kBetweenKills{20};

std::chrono::seconds duration() { return stress_duration(10); }

struct Looks {
  uint64_t taken = 0;
  uint64_t refused = 0;  // somebody was at work all the time
  uint64_t wrong = 0;

  void look() {
    const int64_t groups = audit(g_segment);
    ++(groups < 0 ? refused : taken);
    wrong += groups > 0;
  }
};

double ms_of(uint64_t ns) { return static_cast<double>(ns) / 1e6; }

class KillStormTest : public testing::Test {
 protected:
  void SetUp() override {
    for (int i = 0; i < kWorkers; ++i) crew_.start(i, next_seed());
  }

  uint32_t next_seed() { return random_seed_++; }

  void storm() {
    const Clock::time_point end = Clock::now() + duration();
    Clock::time_point next = Clock::now();
    while (Clock::now() < end) {
      next += kBetweenKills;
      const auto pause = next - Clock::now();
      if (pause > Clock::duration::zero()) {
        usleep(static_cast<useconds_t>(
            std::chrono::duration_cast<std::chrono::microseconds>(pause)
                .count()));
      }
      const int victim = static_cast<int>(next_seed() * 7919 % kWorkers);
      crew_.kill(victim);
      ++kills_;
      reap_dead_processes(g_segment);
      looks_.look();
      crew_.start(victim, next_seed());
    }
  }

  void print() {
    uint64_t waits = 0, most = 0, longest = 0;
    for (int i = 0; i < kWorkers; ++i) {
      const Board::Place& place = crew_.place(i);
      waits += place.waits;
      most = most > place.most_waits ? most : place.most_waits.load();
      longest = longest > place.longest_ns ? longest : place.longest_ns.load();
    }
    const SegmentHeader& header = g_segment.header();
    std::printf(
        "%lu kills, %lu steps; looks: %lu taken, %lu refused, %lu wrong; "
        "%lu recounts, %lu voided, %lu pages corrected; gate closed %.1f ms in "
        "all, %.1f ms at most; %lu waits there, at most %lu in a charge, which "
        "took %.1f ms at most\n",
        kills_, crew_.steps(), looks_.taken, looks_.refused, looks_.wrong,
        header.recounts.load(), header.recounts_voided.load(),
        header.pages_corrected.load(), ms_of(header.gate_closed_ns),
        ms_of(header.gate_longest_ns), waits, most, ms_of(longest));
    most_waits_ = most;
  }

  uint32_t random_seed_ = first_seed();
  Domain domain_;
  Crew crew_{kWorkers};
  Looks looks_;
  uint64_t kills_ = 0;
  uint64_t most_waits_ = 0;
};

TEST_F(KillStormTest, NothingIsLostAndNothingIsLeft) {
  storm();
  std::string failures;
  crew_.hold(failures);
  EXPECT_EQ(failures, "");
  EXPECT_EQ(audit_at_rest(), 0);
  EXPECT_EQ(inconsistency(), "");
  crew_.end(failures);
  EXPECT_EQ(failures, "");
  EXPECT_EQ(audit_at_rest(), 0);
  remove_passing_groups();
  EXPECT_EQ(remains(), "");
  print();
  EXPECT_EQ(looks_.wrong, 0u);
  EXPECT_GT(looks_.taken, looks_.refused);
  // A charge has a few sections one after the other: of a batch, of what is
  // needed alone, and when the stocks were drained again. Each waits once.
  EXPECT_LE(most_waits_, 4u);
  const auto seconds = static_cast<uint64_t>(duration().count());
  EXPECT_GE(kills_, seconds * 17) << "a kill every 20 ms, but for the looks";
}

}  // namespace
}  // namespace umemcg::shared
