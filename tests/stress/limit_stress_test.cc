// Threads at a limit, with the slow half of try_charge behind the refused
// commit as in an allocation. Who has room gets its pages, whatever the others
// have cached, charged ahead or fail to get.

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>

#include "base/sys.h"
#include "reclaim/charge.h"
#include "stock/charge.h"
#include "stock/current.h"
#include "stock/stock.h"
#include "tests/stress/harness.h"
#include "tests/unit/stock/world.h"

namespace umemcg {
namespace {

constexpr int kThreads = 4;
constexpr unsigned kBig = 512;  // pages

// As a failing malloc: the commit, mimalloc's callback, the second try.
bool allocate(const TestRange& range, size_t page, size_t count) {
  if (range.commit(page, count)) return true;
  if (t_charge_record.armed) g_charge_slow_hook();
  const bool committed = range.commit(page, count);
  t_charge_record.armed = false;
  return committed;
}

class LimitStress : public ::testing::Test {
 protected:
  void SetUp() override {
    start_world();
    reset_thread();
    install_reclaim({false});
  }
  void TearDown() override { reset_thread(); }

  void run(int workers, const Crew::Step& step) {
    Crew crew(workers, step);
    const uint64_t end =
        sys::monotonic_ns() + static_cast<uint64_t>(stress_seconds(1.2) * 1e9);
    while (sys::monotonic_ns() < end && !HasFailure()) {
      ASSERT_LE(usage(*account_), account_->counter.load()->max());
      sys::sleep_ns(1'000'000);
    }
  }

  Account* account_ = nullptr;
};

// What the threads have in use never adds up to more than the limit, though
// all that they freed is cached and their stocks are full. So nobody is
// refused; unless, once in a great many times, others win everything that is
// given back while a request waits (for 0.1 s at most).
class RoomStress : public LimitStress,
                   public ::testing::WithParamInterface<int64_t> {};

TEST_P(RoomStress, NoRequestThatFitsFails) {
  const int64_t budget = GetParam() / kThreads;
  account_ = &new_account(GetParam());
  TestRange range(kThreads * 1024);
  const size_t area = range.pages() / kThreads;
  std::atomic<int64_t> done{0};
  std::atomic<int64_t> refused{0};
  run(kThreads, [&](int worker, Random& random) {
    t_context.account = account_;
    const size_t first = static_cast<size_t>(worker) * area;
    const size_t most = static_cast<size_t>(std::min<int64_t>(budget, 64));
    size_t pages[64] = {};
    int64_t held = 0;
    // Some blocks side by side in the thread's area, freed in any order.
    for (int i = 0; i < 400; ++i) {
      const size_t block = below(random, 64);
      const size_t at = first + block * 64;
      if (pages[block] != 0) {
        range.decommit(at, pages[block]);
        held -= static_cast<int64_t>(pages[block]);
        pages[block] = 0;
        continue;
      }
      const size_t count = 1 + below(random, static_cast<uint32_t>(most));
      if (held + static_cast<int64_t>(count) > budget) continue;
      if (!allocate(range, at, count)) {
        refused.fetch_add(1);
        continue;
      }
      pages[block] = count;
      held += static_cast<int64_t>(count);
      done.fetch_add(1);
    }
    for (size_t block = 0; block < 64; ++block) {
      range.decommit(first + block * 64, pages[block]);
    }
  });
  EXPECT_GT(done.load(), 1000);
  EXPECT_LE(refused.load(), 1 + done.load() / 10'000);
}

INSTANTIATE_TEST_SUITE_P(Limits, RoomStress,
                         ::testing::Values(64, 256, 1024, 4000));

// 512-page requests that must fail beside 1-page requests that have room.
TEST_F(LimitStress, LargeFailuresMakeNoSmallOneFail) {
  constexpr int64_t kBase = 200;
  constexpr int64_t kSmall = 8;  // each small charger holds at most so many
  account_ = &new_account(kBase + kBig);
  TestRange range(kThreads * 64);
  t_context.account = account_;
  ASSERT_TRUE(range.commit(0, kBase));
  const size_t area = range.pages() / (2 * kThreads);
  std::atomic<int64_t> small_done{0};
  std::atomic<int64_t> large_failed{0};
  std::atomic<uint64_t> slowest_ns{0};
  run(kThreads, [&](int worker, Random& random) {
    t_context.account = account_;
    const size_t first = kBase + static_cast<size_t>(worker) * area;
    if (worker % 2 == 0) {
      // One page is held by each small charger at all times; so one of those
      // below never fits.
      for (size_t i = 0; i < kSmall; ++i) {
        EXPECT_TRUE(allocate(range, first + i, 1));
        small_done.fetch_add(1);
      }
      const size_t keep = below(random, kSmall);
      for (size_t i = 0; i < kSmall; ++i) {
        if (i != keep) range.decommit(first + i, 1);
      }
    } else if (small_done.load() > 100) {
      const uint64_t start = sys::monotonic_ns();
      if (!allocate(range, first, kBig)) large_failed.fetch_add(1);
      const uint64_t took = sys::monotonic_ns() - start;
      if (took > slowest_ns.load()) slowest_ns.store(took);
      range.decommit(first, kBig);
    }
  });
  EXPECT_GT(small_done.load(), 1000);
  EXPECT_GT(large_failed.load(), 0);
  // It fails in bounded time, though others give pages back all the time.
  EXPECT_LT(slowest_ns.load(), 5'000'000'000u);
  RecordProperty("slowest_us", static_cast<int>(slowest_ns.load() / 1000));
}

}  // namespace
}  // namespace umemcg
