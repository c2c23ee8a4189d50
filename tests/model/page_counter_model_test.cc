// Random sequences of operations on trees of counters, each step compared with
// a plain model. One thread: what races is in page_counter_race_test.cc.

#include <gtest/gtest.h>

#include <cerrno>
#include <memory>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "accounting/page_counter.h"
#include "tests/model/page_counter_model.h"

namespace umemcg {
namespace {

using Limit = PageCounter::Limit;

enum class Protection { kAll, kNone, kMixed };

// Both sides, and the operations in step.
class Pair {
 public:
  Pair(unsigned seed, Protection protection) : random_(seed) {
    nodes_ = static_cast<int>(pick(1, 14));
    counters_ = std::make_unique<PageCounter[]>(static_cast<size_t>(nodes_));
    for (int id = 0; id < nodes_; ++id) {
      // Near its predecessor, so that trees are deep as well as wide.
      int parent =
          id == 0 ? -1 : static_cast<int>(pick(std::max(0, id - 3), id - 1));
      bool flag = protection == Protection::kAll ||
                  (protection == Protection::kMixed && pick(0, 1) == 1);
      model_.add(parent, flag);
      held_.push_back(0);
      counter(id).init(parent >= 0 ? &counter(parent) : nullptr, flag);
    }
  }

  // One random operation; what it was.
  std::string step() {
    const int id = static_cast<int>(pick(0, nodes_ - 1));
    switch (pick(0, 11)) {
      case 0:
        return charge(id, amount());
      case 1:
      case 2:
      case 3:
      case 4:
        return try_charge(id, amount());
      case 5:
      case 6:
        return uncharge(id);
      case 7:
        return set_max(id);
      case 8:
        return set_protection(id);
      case 9:
        return protect(id, pick(0, 1) == 1);
      case 10:
        return set_reserve(id, pick(0, 64));
      default:
        return reset_watermark(id);
    }
  }

  // Empty, or what differs.
  std::string difference() {
    std::ostringstream out;
    for (int id = 0; id < nodes_; ++id) {
      const PageCounter& c = counter(id);
      const model::Node& m = model_[id];
      auto compare = [&](const char* field, auto got, auto expected) {
        if (got == expected) return;
        out << "node " << id << " " << field << ": expected " << expected
            << ", got " << got << "\n";
      };
      compare("usage", c.usage(), m.usage);
      compare("max", c.max(), m.max);
      compare("min", c.min(), m.min);
      compare("low", c.low(), m.low);
      compare("reserve", c.reserve(), m.reserve);
      compare("watermark", c.watermark(), m.watermark);
      compare("failcnt", c.failcnt(), m.failcnt);
      compare("min_usage", c.min_usage(), m.min_usage);
      compare("low_usage", c.low_usage(), m.low_usage);
      compare("children_min_usage", c.children_min_usage(),
              m.children_min_usage);
      compare("children_low_usage", c.children_low_usage(),
              m.children_low_usage);
      compare("emin", c.emin(), m.emin);
      compare("elow", c.elow(), m.elow);
      compare("margin", c.margin(), std::max<int64_t>(m.max - m.usage, 0));
    }
    return out.str();
  }

  // Gives everything back: the counters are empty again.
  void give_everything_back() {
    for (int id = 0; id < nodes_; ++id) {
      if (held_[static_cast<size_t>(id)] > 0) uncharge_all(id);
    }
  }

  int refusals() const { return refusals_; }
  int busy() const { return busy_; }

 private:
  PageCounter& counter(int id) { return counters_[static_cast<size_t>(id)]; }
  int64_t& held(int id) { return held_[static_cast<size_t>(id)]; }

  int64_t pick(int64_t least, int64_t most) {
    return std::uniform_int_distribution<int64_t>(least, most)(random_);
  }
  // Mostly small, now and then beyond what is left or far from any limit.
  int64_t amount() {
    switch (pick(0, 9)) {
      case 0:
        return pick(1, 100'000);
      case 1:
        return 512;
      default:
        return pick(1, 64);
    }
  }

  static std::string said(const char* what, int id, int64_t pages) {
    return std::string(what) + " " + std::to_string(id) + " " +
           std::to_string(pages);
  }

  std::string charge(int id, int64_t pages) {
    model_.charge(id, pages);
    counter(id).charge(pages);
    held(id) += pages;
    return said("charge", id, pages);
  }
  std::string try_charge(int id, int64_t pages) {
    const bool reserve = pick(0, 3) == 0;
    const bool count = pick(0, 3) != 0;
    const int refused = model_.try_charge(id, pages, reserve, count);
    PageCounter* failed = nullptr;
    const bool charged = counter(id).try_charge(
        pages, &failed, reserve ? Limit::kMaxAndReserve : Limit::kMax, count);
    EXPECT_EQ(charged, refused < 0);
    EXPECT_EQ(failed, refused < 0 ? nullptr : &counter(refused));
    if (charged) held(id) += pages;
    refusals_ += !charged;
    return said(reserve ? "try_charge+reserve" : "try_charge", id, pages);
  }
  std::string uncharge(int id) {
    if (held(id) == 0) return "nothing";
    return give(id, pick(0, 3) == 0 ? held(id) : pick(1, held(id)));
  }
  std::string uncharge_all(int id) { return give(id, held(id)); }
  std::string give(int id, int64_t pages) {
    model_.uncharge(id, pages);
    counter(id).uncharge(pages);
    held(id) -= pages;
    return said("uncharge", id, pages);
  }
  std::string set_max(int id) {
    int64_t pages = counter(id).usage() + pick(-50, 6000);
    if (pages < 0) pages = 0;
    if (pick(0, 9) == 0) pages = kPageCounterMax;
    if (pick(0, 9) == 0) {
      model_[id].max = pages;
      counter(id).store_max(pages);
      return said("store_max", id, pages);
    }
    const bool taken = model_.set_max(id, pages);
    EXPECT_EQ(counter(id).set_max(pages), taken ? 0 : -EBUSY);
    busy_ += !taken;
    return said("set_max", id, pages);
  }
  std::string set_protection(int id) {
    const int64_t pages = pick(0, 19) == 0 ? kPageCounterMax : pick(0, 500);
    if (pick(0, 1) == 0) {
      model_.set_min(id, pages);
      counter(id).set_min(pages);
      return said("set_min", id, pages);
    }
    model_.set_low(id, pages);
    counter(id).set_low(pages);
    return said("set_low", id, pages);
  }
  std::string set_reserve(int id, int64_t pages) {
    model_[id].reserve = pages;
    counter(id).set_reserve(pages);
    return said("set_reserve", id, pages);
  }
  std::string reset_watermark(int id) {
    model_.reset_watermark(id);
    counter(id).reset_watermark();
    return said("reset_watermark", id, 0);
  }
  // A walk of the subtree of `root`, top-down: parents have smaller ids.
  std::string protect(int root, bool recursive) {
    for (int id = root; id < nodes_; ++id) {
      int above = id;
      while (above > root) above = model_[above].parent;
      if (above != root) continue;
      model_.protect(root, id, recursive);
      counter(id).calculate_protection(&counter(root), recursive);
    }
    return said("protect", root, recursive);
  }

  std::mt19937_64 random_;
  int nodes_ = 0;
  std::unique_ptr<PageCounter[]> counters_;
  model::Tree model_;
  std::vector<int64_t> held_;  // charged at each node and not given back
  int refusals_ = 0;
  int busy_ = 0;
};

class PageCounterModel : public testing::TestWithParam<Protection> {};

TEST_P(PageCounterModel, AgreesAfterEveryStep) {
  int refusals = 0, busy = 0;
  for (unsigned seed = 0; seed < 200; ++seed) {
    Pair pair(seed, GetParam());
    std::string last = "the start";
    for (int i = 0; i < 1000; ++i) {
      const std::string difference = pair.difference();
      ASSERT_EQ(difference, "")
          << "seed " << seed << ", step " << i << ": after " << last;
      ASSERT_FALSE(HasFailure())
          << "seed " << seed << ", step " << i << ": " << last;
      last = pair.step();
    }
    pair.give_everything_back();
    ASSERT_EQ(pair.difference(), "") << "seed " << seed << ", at the end";
    refusals += pair.refusals();
    busy += pair.busy();
  }
  // The sequences are worth something: both answers were given.
  EXPECT_GT(refusals, 1000);
  EXPECT_GT(busy, 10);
}

void PrintTo(Protection protection, std::ostream* out) {
  *out << (protection == Protection::kAll    ? "All"
           : protection == Protection::kNone ? "None"
                                             : "Mixed");
}

INSTANTIATE_TEST_SUITE_P(Protection, PageCounterModel,
                         testing::Values(Protection::kAll, Protection::kNone,
                                         Protection::kMixed),
                         testing::PrintToStringParamName());

}  // namespace
}  // namespace umemcg
