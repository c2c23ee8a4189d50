// Pressure stall information against a model in floating point, over random
// sequences of stalls through simulated hours. The model keeps the intervals
// and integrates them period by period when it is asked, so it has nothing in
// common with the code but the definition:
//
//   average over w seconds, after each period of 2 s:
//     average = sample + (average - sample) * exp(-2 / w)
//
// What must be within 1 (of 100) is, within 0.001.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <random>
#include <vector>

#include "accounting/psi_average.h"

namespace umemcg {
namespace {

constexpr double kWidths[kPsiAverages] = {10, 60, 300};
constexpr double kAllowed = 0.001;
constexpr uint64_t kSecond = 1'000'000;

class Model {
 public:
  explicit Model(uint64_t start_us) : start_us_(start_us) {}

  // The threads were so until then.
  void add(uint64_t from_us, uint64_t until_us, int stalled, bool productive) {
    if (stalled == 0 || until_us == from_us) return;
    intervals_.push_back({static_cast<double>(from_us - start_us_),
                          static_cast<double>(until_us - start_us_),
                          !productive});
  }
  double total(PsiState state) const {
    double sum = 0;
    for (const Interval& i : intervals_) {
      if (state == kPsiSome || i.full) sum += i.end - i.begin;
    }
    return sum;
  }
  double average(PsiState state, double width, uint64_t now_us) const {
    const auto length = static_cast<double>(kPsiPeriodUs);
    const auto periods =
        static_cast<size_t>((now_us - start_us_) / kPsiPeriodUs);
    std::vector<double> stalled(periods + 1);
    for (const Interval& i : intervals_) {
      if (state == kPsiFull && !i.full) continue;
      for (auto p = static_cast<size_t>(i.begin / length); p < periods; ++p) {
        const double begin = static_cast<double>(p) * length;
        const double part =
            std::min(i.end, begin + length) - std::max(i.begin, begin);
        if (part <= 0) break;
        stalled[p] += part;
      }
    }
    double average = 0;
    for (size_t p = 0; p < periods; ++p) {
      const double sample = 100 * stalled[p] / length;
      average = sample + (average - sample) * std::exp(-2 / width);
    }
    return average;
  }

 private:
  struct Interval {
    double begin, end;
    bool full;
  };
  uint64_t start_us_;
  std::vector<Interval> intervals_;
};

// What happens in a run: how long the pauses between changes are.
struct Pace {
  uint64_t least_us, most_us;
  uint64_t hours;
};

class PsiModelTest : public testing::TestWithParam<Pace> {
 protected:
  // Times are spread over their orders of magnitude.
  uint64_t pause() {
    const Pace pace = GetParam();
    std::uniform_real_distribution<double> exponent(
        std::log(static_cast<double>(pace.least_us)),
        std::log(static_cast<double>(pace.most_us)));
    return static_cast<uint64_t>(std::exp(exponent(random_)));
  }
  uint32_t below(uint32_t bound) {
    return static_cast<uint32_t>(random_()) % bound;
  }
  void settle() {
    if (psi_average_due(psi_, now_us_)) psi_average(psi_, now_us_);
  }
  void change() {
    settle();
    if (below(3) == 0) {
      productive_ = !productive_;
      psi_set_productive(psi_, now_us_, productive_);
      return;
    }
    const int by = stalled_ == 0 || (stalled_ < 3 && below(2) == 0) ? 1 : -1;
    psi_add_stalled(psi_, now_us_, by);
    stalled_ += by;
  }
  void pass(uint64_t us) {
    model_.add(now_us_, now_us_ + us, stalled_, productive_);
    now_us_ += us;
  }
  void compare() {
    settle();
    psi_advance(psi_, now_us_);
    for (PsiState state : {kPsiSome, kPsiFull}) {
      EXPECT_EQ(static_cast<double>(psi_.total_us[state]), model_.total(state));
      for (int i = 0; i < kPsiAverages; ++i) {
        const double got =
            static_cast<double>(psi_.average[state][i]) / (1 << kPsiShift);
        const double off =
            std::fabs(got - model_.average(state, kWidths[i], now_us_));
        worst_ = std::max(worst_, off);
        highest_ = std::max(highest_, got);
      }
    }
  }

  std::mt19937 random_{20261120};
  uint64_t now_us_ = 123'456'789;
  PsiGroup psi_{};
  Model model_{now_us_};
  int stalled_ = 0;
  bool productive_ = false;
  double worst_ = 0, highest_ = 0;
};

TEST_P(PsiModelTest, AveragesAndTotalsAgree) {
  settle();
  const uint64_t end = now_us_ + GetParam().hours * 3600 * kSecond;
  uint64_t next_look = now_us_;
  while (now_us_ < end) {
    pass(pause());
    change();
    // Somebody reads now and then, or not for long.
    if (now_us_ >= next_look) {
      compare();
      next_look = now_us_ + GetParam().hours * below(40) * 10 * kSecond;
    }
    // A lull now and then.
    if (below(200) == 0 && stalled_ == 0) pass(below(900) * kSecond);
  }
  compare();
  EXPECT_LT(worst_, kAllowed);
  EXPECT_GT(highest_, 5.0) << "hardly anything was stalled";
  std::printf("averages up to %.2f, at most %.6f off\n", highest_, worst_);
}

INSTANTIATE_TEST_SUITE_P(Paces, PsiModelTest,
                         testing::Values(Pace{20, 3'000'000, 1},
                                         Pace{1'000, 20'000'000, 6},
                                         Pace{500'000, 600'000'000, 100}));

}  // namespace
}  // namespace umemcg
