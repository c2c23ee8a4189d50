// Threads commit, decommit, purge, decay and drain on one range, for several
// accounts under nested limits. At every moment no more is handed out than a
// limit allows, and whenever all stand still the counters, the ledgers, the
// statistics and the page table agree.

#include <gtest/gtest.h>

#include <array>
#include <cerrno>
#include <deque>
#include <ostream>

#include "accounting/mem_cgroup.h"
#include "alloc/cached.h"
#include "alloc/commit.h"
#include "alloc/compound.h"
#include "base/sys.h"
#include "reclaim/charge.h"
#include "stock/charge.h"
#include "stock/stock.h"
#include "tests/stress/harness.h"
#include "tests/unit/stock/world.h"

namespace umemcg {
namespace {

struct Mode {
  const char* name;
  bool strict;     // pages become accessible by commits only
  bool faults;     // the system refuses now and then
  bool compounds;  // charged by 2 MiB
};

void PrintTo(const Mode& mode, std::ostream* out) { *out << mode.name; }

constexpr int kWorkers = 6;
constexpr size_t kExtents = 256;
constexpr int kTenants = 5;
// Within 16 MiB of its limit a counter never holds more than that, not even
// attempts (docs/design.md, "Bounds"); so all limits here are that low.
constexpr std::array<int64_t, kTenants> kLimits = {2000, 600, kPageCounterMax,
                                                   1100, kPageCounterMax};

int sometimes_failing_protect(void* address, size_t size, int protection) {
  thread_local Random random;
  return below(random, 40) == 0
             ? ENOMEM
             : sys::kRealMemory.protect(address, size, protection);
}
int sometimes_failing_advise(void* address, size_t size, int advice) {
  thread_local Random random;
  return below(random, 40) == 0
             ? EINVAL
             : sys::kRealMemory.advise(address, size, advice);
}

class CommitStress : public ::testing::TestWithParam<Mode> {
 protected:
  void SetUp() override {
    const Mode& mode = GetParam();
    start_world();
    reset_thread();
    install_reclaim({false});
    set_compound_mode(mode.compounds);
    range_ = std::make_unique<TestRange>(kExtents * Extent::kSlices);
    allow_compounds(range_->address(0), range_->pages() * kPageSize);
    for (size_t i = 0; i < kExtents; ++i) {
      extents_.emplace_back(*range_, i * Extent::kPages);
    }
    // Two below a limited parent, two below the root.
    uint32_t parent = new_group(kLimits[0]);
    for (size_t i = 0; i < kTenants; ++i) {
      bool child = i == 1 || i == 2;
      tenants_[i].account =
          i == 0 ? account_of(parent)
                 : &new_account(kLimits[i], child ? parent : kRootGroup);
      tenants_[i].parent = child ? &tenants_[0] : nullptr;
    }
    if (mode.strict) {
      sys::protect(range_->data(0), range_->pages() * kPageSize, PROT_NONE);
      set_commit_protects(true);
      set_purge_protects(true);
    }
    if (mode.faults) {
      sys::memory.protect = sometimes_failing_protect;
      sys::memory.advise = sometimes_failing_advise;
      g_contents_may_leak.store(true);
    }
  }

  void TearDown() override {
    sys::memory = sys::kRealMemory;
    g_contents_may_leak.store(false);
    set_commit_protects(false);
    set_purge_protects(false);
    set_compound_mode(false);
    reset_thread();
  }

  // One piece of work of a worker.
  void step(Random& random) {
    Extent& extent = extents_[below(random, kExtents)];
    if (below(random, 200) == 0) disturb(random);
    if (!extent.try_lock()) return;
    const unsigned page = below(random, 3) == 0
                              ? below(random, Extent::kPages)
                              : below(random, Extent::kSlices) * kSlicePages;
    const unsigned most = Extent::kPages - page;
    const unsigned count = 1 + below(random, most);
    const bool reclaim = below(random, 4) == 0;
    if (extent.empty()) {
      Tenant& tenant = tenants_[1 + below(random, kTenants - 1)];
      if (!extent.take(tenant, page, count, reclaim)) ++refused_;
    } else if (below(random, 2) == 0) {
      if (!extent.take(*extent.tenant(), page, count, reclaim)) ++refused_;
    } else if (below(random, 2) == 0) {
      extent.give(page, count);
    } else {
      extent.give(0, Extent::kPages);
    }
    extent.unlock();
  }

  // What other threads of a process do meanwhile.
  void disturb(Random& random) {
    const uint32_t group = tenants_[below(random, kTenants)].account->group;
    switch (below(random, 6)) {
      case 0:
        purge_cached_subtree(group, 1 + below(random, 500),
                             PurgeReason::kReclaim);
        break;
      case 1:
        purge_cached_subtree(kRootGroup, INT64_MAX, PurgeReason::kTrim);
        break;
      case 2:
        decay_cached();
        break;
      case 3:
        drain_all_stock(g_segment, group);
        break;
      case 4:
        drain_own_stock();
        break;
      default:
        release_line();  // a thread ends, another begins
    }
  }

  // While the crew works: usage is within the limits, whoever is in flight.
  void look_at_limits() {
    for (Tenant& tenant : tenants_) {
      PageCounter& counter = *tenant.account->counter;
      ASSERT_LE(counter.usage(), counter.max());
      ASSERT_LE(counter.watermark(), counter.max());
    }
  }

  // While nobody works.
  void look_at_everything() {
    int64_t family = 0;
    for (Tenant& tenant : tenants_) {
      const Account& account = *tenant.account;
      PageTotals totals = count_pages(account.id);
      int64_t own = totals.used + totals.cached + all_stock(account) +
                    all_reservations(account);
      SCOPED_TRACE(&tenant - tenants_.data());
      EXPECT_EQ(own, ledger_pages(account));
      if (&tenant != &tenants_[0]) {
        EXPECT_EQ(own, usage(account));
        EXPECT_EQ(tenant.held.load(), totals.used);
      }
      if (tenant.parent != nullptr) family += own;
      EXPECT_EQ(totals.cached, account.cached_pages.load());
      EXPECT_EQ(totals.used, stat_of(account, Stat::kUsed));
      EXPECT_EQ(totals.cached, stat_of(account, Stat::kCached));
      EXPECT_EQ(own, stat_of(account, Stat::kCharged) -
                         stat_of(account, Stat::kUncharged));
      EXPECT_LE(own, account.counter.load()->max());
    }
    EXPECT_EQ(family, usage(*tenants_[0].account));
  }

  void run() {
    Crew crew(kWorkers, [this](int, Random& random) { step(random); });
    const uint64_t end =
        sys::monotonic_ns() + static_cast<uint64_t>(stress_seconds(1.2) * 1e9);
    for (int i = 1; sys::monotonic_ns() < end && !HasFailure(); ++i) {
      look_at_limits();
      sys::sleep_ns(500'000);
      if (i % 40 == 0) crew.stand_still([this] { look_at_everything(); });
    }
    crew.stop();
    look_at_everything();
    EXPECT_GT(refused_.load(), 0);
  }

  // Everything given back, nothing is charged.
  void expect_nothing_left() {
    sys::memory = sys::kRealMemory;
    for (Extent& extent : extents_) {
      if (!extent.empty()) extent.give(0, Extent::kPages);
    }
    // Twice: what lies in another account's stack is moved first.
    purge_cached_subtree(kRootGroup, INT64_MAX, PurgeReason::kTrim);
    purge_cached_subtree(kRootGroup, INT64_MAX, PurgeReason::kTrim);
    drain_all_stock(g_segment, kRootGroup);
    for (Tenant& tenant : tenants_) {
      EXPECT_EQ(0, usage(*tenant.account));
      EXPECT_EQ(0, ledger_pages(*tenant.account));
      EXPECT_EQ(0u, tenant.account->cached_head.load());
    }
    for (size_t n = 0; n < kExtents * Extent::kSlices; ++n) {
      EXPECT_EQ(0u, range_->word(n).with_refault(false).bits()) << n;
    }
  }

  std::unique_ptr<TestRange> range_;
  std::deque<Extent> extents_;
  std::array<Tenant, kTenants> tenants_{};
  std::atomic<int64_t> refused_{0};
};

TEST_P(CommitStress, CountersAndPageTableAgree) {
  run();
  expect_nothing_left();
}

INSTANTIATE_TEST_SUITE_P(
    , CommitStress,
    ::testing::Values(Mode{"Plain", false, false, false},
                      Mode{"Strict", true, false, false},
                      Mode{"Faults", true, true, false},
                      Mode{"Compounds", false, false, true}),
    [](const auto& mode) { return std::string(mode.param.name); });

}  // namespace
}  // namespace umemcg
