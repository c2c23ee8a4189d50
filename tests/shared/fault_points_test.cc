// A process is killed at every labelled point (base/fault_point.h) while others
// work on: what it held is given back, nothing else is touched, and when all
// are gone nothing is left. UMEMCG_STRESS_SECONDS: how long in all.

#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "accounting/process.h"
#include "accounting/recount.h"
#include "tests/shared/crew.h"
#include "tests/shared/faults.h"
#include "tests/shared/settings.h"
#include "tests/shared/tree.h"

namespace umemcg::shared {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kSurvivors = 2;
constexpr uint32_t kSteps = 20'000;  // of a doomed process
constexpr int kLeastRounds = 3;      // for each label
constexpr int kMostRounds = 40;      // until the label was met once

class FaultPointTest : public testing::Test {
 protected:
  void SetUp() override {
    for (int i = 0; i < kSurvivors; ++i) crew_.start(i, ++seed_);
  }

  // One life and death. Whether it died at the label.
  bool round(const std::string& label) {
    const uint32_t seed = ++seed_;
    // The first passage now and then, and some later one.
    const Crew::Fate fate{label.c_str(), 1 + seed * 40503u % 7, kSteps};
    const bool killed = crew_.run_doomed(seed, fate, [this] { glance(); });
    look(label + " " + std::to_string(seed));
    return killed;
  }

  // While all are at work.
  void glance() {
    reap_dead_processes(g_segment);
    const int64_t groups = audit(g_segment);
    ++(groups < 0 ? refused_ : taken_);
    wrong_ += groups > 0;
  }

  // All at rest: the dead one's charges are gone, the others' are untouched.
  void look(const std::string& what) {
    std::string failures;
    crew_.hold(failures);
    // Children of the dead may live on for a moment with what they inherited.
    EXPECT_TRUE(test::wait_until([] {
      reap_dead_processes(g_segment);
      return attached() == kSurvivors;
    })) << what;
    EXPECT_EQ(failures, "") << what;
    set_tree();
    EXPECT_EQ(audit_at_rest(), 0) << what;
    EXPECT_EQ(inconsistency(), "") << what;
    crew_.go_on();
  }

  static int attached() {
    int count = 0;
    for (uint32_t i = 0; i < g_segment.process_count(); ++i) {
      count += g_segment.process(i)->state != ProcessState::kFree;
    }
    return count;
  }

  uint32_t seed_ = first_seed();
  Domain domain_;
  Crew crew_{kSurvivors};
  uint64_t taken_ = 0, refused_ = 0, wrong_ = 0;  // glances
};

TEST_F(FaultPointTest, DeathAtAnyPointTakesNothingWithIt) {
  const std::vector<std::string> labels = labels_in(UMEMCG_SOURCE_DIR);
  ASSERT_GT(labels.size(), 30u);
  const Clock::time_point start = Clock::now();
  const auto each =
      std::chrono::duration_cast<Clock::duration>(stress_duration(15)) /
      static_cast<int>(labels.size());
  uint64_t kills = 0, rounds = 0;
  for (size_t i = 0; i < labels.size() && !HasFailure(); ++i) {
    const Clock::time_point end = start + each * static_cast<int>(i + 1);
    int met = 0;
    for (int r = 0; r < kMostRounds || Clock::now() < end; ++r) {
      if (r >= kLeastRounds && met > 0 && Clock::now() >= end) break;
      met += round(labels[i]);
      ++rounds;
      if (HasFailure()) break;
    }
    EXPECT_GT(met, 0) << "nobody ever passed: " << labels[i];
    kills += static_cast<uint64_t>(met);
  }
  std::string failures;
  crew_.end(failures);
  EXPECT_EQ(failures, "");
  EXPECT_EQ(audit_at_rest(), 0);
  remove_passing_groups();
  EXPECT_EQ(remains(), "");
  EXPECT_EQ(wrong_, 0u);
  // (With somebody always just dead, many a look comes to nothing.)
  EXPECT_GT(taken_, 0u);
  const SegmentHeader& header = g_segment.header();
  std::printf(
      "%zu labels, %lu rounds, %lu killed there; looks: %lu taken, %lu "
      "refused, "
      "%lu wrong; %lu recounts, %lu voided, %lu pages corrected\n",
      labels.size(), rounds, kills, taken_, refused_, wrong_,
      header.recounts.load(), header.recounts_voided.load(),
      header.pages_corrected.load());
}

}  // namespace
}  // namespace umemcg::shared
