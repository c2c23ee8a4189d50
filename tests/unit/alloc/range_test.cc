// Ranges: mapped, aligned, growing, and what happens when the system will not
// give them. What is known of them is the process's, so each test has a child
// of its own.

#include "alloc/range.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cerrno>

#include "alloc/commit.h"
#include "stock/charge.h"
#include "tests/unit/alloc/fake_mimalloc.h"
#include "tests/unit/alloc/range_support.h"
#include "tests/unit/stock/world.h"
#include "tests/unit/support/child.h"

namespace umemcg {
namespace {

using test::ChildOutcome;
using test::run_child;

constexpr size_t kAlignment = 256 * kMiB;

// What a sanitizer maps for itself does not fit a small address space.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

void in_child(const std::function<void()>& body) {
  ChildOutcome outcome = run_child([&body] {
    start_world();
    reset_thread();
    t_context.exiting = true;
    body();
  });
  EXPECT_EQ(0, outcome.code) << outcome.error_text;
}

Account& process_account() { return *g_process_account.load(); }
Account& root_account() { return *g_records_account.load(); }

TEST(RangeTest, TheFirstIsAlignedAndManaged) {
  in_child([] {
    ASSERT_TRUE(init_ranges());
    ASSERT_EQ(1u, g_managed_ranges.size());
    const ManagedRange& range = g_managed_ranges[0];
    EXPECT_EQ(0u, reinterpret_cast<uintptr_t>(range.start) % kAlignment);
    EXPECT_EQ(256 * kMiB, range.size);
    EXPECT_TRUE(in_range(range.start));
    EXPECT_TRUE(in_range(range.start + range.size - 1));
    EXPECT_FALSE(in_range(range.start + range.size));
    EXPECT_FALSE(in_range(range.start - 1));
    EXPECT_FALSE(strict_mode());
    EXPECT_FALSE(ranges_low());
  });
}

TEST(RangeTest, TheHookChargesTheThreadAndItsRecordsTheRoot) {
  in_child([] {
    const int64_t before = ledger_pages(root_account());
    ASSERT_TRUE(init_ranges());
    const ManagedRange& range = g_managed_ranges[0];
    EXPECT_EQ(before + 16, ledger_pages(root_account()));
    EXPECT_EQ(0, usage(process_account()));
    bool is_zero = false;
    ASSERT_TRUE(range.commit_pages(16, 20, &is_zero));
    EXPECT_TRUE(is_zero);
    *(range.start + 20 * kPageSize) = 'x';
    EXPECT_EQ(20, usage(process_account()));
    range.decommit_pages(16, 20);
    EXPECT_EQ(20, process_account().cached_pages.load());
  });
}

TEST(RangeTest, RecordsAreNeverRefused) {
  in_child([] {
    process_account().counter.load()->store_max(0);
    ASSERT_TRUE(init_ranges());
    const ManagedRange& range = g_managed_ranges[0];
    EXPECT_TRUE(range.commit_pages(32, 16, nullptr));
    bool is_zero;
    EXPECT_FALSE(range.commit_pages(48, 1, &is_zero));
    EXPECT_TRUE(t_charge_record.armed);
  });
}

TEST(RangeTest, TheNextComesBeforeTheLastIsFullAndIsLarger) {
  in_child([] {
    ASSERT_TRUE(init_ranges());
    bool is_zero;
    const size_t last = 256 * kMiB / kPageSize - 1;
    EXPECT_TRUE(extend_ranges(0));
    EXPECT_EQ(1u, g_managed_ranges.size());
    ASSERT_TRUE(g_managed_ranges[0].commit_pages(last, 1, &is_zero));
    EXPECT_TRUE(ranges_low());
    EXPECT_TRUE(extend_ranges(0));
    ASSERT_EQ(2u, g_managed_ranges.size());
    EXPECT_FALSE(ranges_low());
    EXPECT_EQ(512 * kMiB, g_managed_ranges[1].size);
    EXPECT_TRUE(extend_ranges(200 * kMiB));
    ASSERT_EQ(3u, g_managed_ranges.size());
    EXPECT_EQ(kGiB, g_managed_ranges[2].size);
    EXPECT_TRUE(in_range(g_managed_ranges[2].start));
  });
}

TEST(RangeTest, GrowsToATebibyteOfAddresses) {
  if (kSanitized) GTEST_SKIP() << "SKIP: a sanitizer has the addresses";
  in_child([] {
    ASSERT_TRUE(init_ranges());
    size_t total = 0;
    while (total < kTiB && extend_ranges(kMiB)) {
      total += g_managed_ranges.back().size;
    }
    EXPECT_GE(total, kTiB);
    EXPECT_LT(g_managed_ranges.size(), 100u);
  });
}

TEST(RangeTest, NoAddressSpaceMeansNoRange) {
  in_child([] {
    FailCalls map(FailCalls::kMap, ENOMEM);
    EXPECT_FALSE(init_ranges());
    EXPECT_TRUE(g_managed_ranges.empty());
    EXPECT_FALSE(in_range(&map));
    EXPECT_FALSE(ranges_low());
  });
}

TEST(RangeTest, WithoutTheWantedPlaceThereIsAnother) {
  in_child([] {
    FailCalls map(FailCalls::kMap, EEXIST, 1, 3);
    ASSERT_TRUE(init_ranges());
    EXPECT_EQ(256 * kMiB, g_managed_ranges[0].size);
  });
}

TEST(RangeTest, AlignedByCuttingWhenNoHintWorks) {
  in_child([] {
    FailCalls map(FailCalls::kMap, EEXIST, 1, 16);
    ASSERT_TRUE(init_ranges());
    const ManagedRange& range = g_managed_ranges[0];
    EXPECT_EQ(0u, reinterpret_cast<uintptr_t>(range.start) % kAlignment);
    bool is_zero;
    ASSERT_TRUE(range.commit_pages(256 * kMiB / kPageSize - 1, 1, &is_zero));
    *(range.start + range.size - 1) = 'x';
  });
}

TEST(RangeTest, EndsThatCannotBeCutOffAreLeft) {
  in_child([] {
    FailCalls map(FailCalls::kMap, EEXIST, 1, 16);
    // (One kind of call fails at a time.)
    sys::memory.unmap = [](void*, size_t) { return ENOMEM; };
    EXPECT_TRUE(init_ranges());
  });
}

TEST(RangeTest, ASmallerOneWhereALargeOneDoesNotFit) {
  in_child([] {
    // ENOMEM at the hint, then anywhere: the first two sizes fail.
    FailCalls map(FailCalls::kMap, ENOMEM, 1, 4);
    ASSERT_TRUE(init_ranges());
    EXPECT_EQ(64 * kMiB, g_managed_ranges[0].size);
  });
}

TEST(RangeTest, NoMemoryForItsRowsMeansNoRange) {
  in_child([] {
    // The first map is the range's, the second its page table's.
    FailCalls map(FailCalls::kMap, ENOMEM, 2);
    EXPECT_FALSE(init_ranges());
    EXPECT_TRUE(g_managed_ranges.empty());
  });
}

TEST(RangeTest, WhatMimallocRefusesIsUnmapped) {
  in_child([] {
    g_takes_ranges = false;
    CountCalls unmap(FailCalls::kUnmap);
    EXPECT_FALSE(init_ranges());
    EXPECT_GE(unmap.seen(), 4);  // of 256, 128, 64 and 32 MiB
    EXPECT_FALSE(in_range(&unmap));
  });
}

TEST(RangeTest, ExhaustionIsSaidOnce) {
  ChildOutcome outcome = run_child([] {
    start_world();
    ASSERT_TRUE(init_ranges());
    EXPECT_FALSE(ranges_exhausted());
    FailCalls map(FailCalls::kMap, ENOMEM);
    EXPECT_FALSE(extend_ranges(kMiB));
    EXPECT_TRUE(ranges_exhausted());
    EXPECT_FALSE(extend_ranges(kMiB));
  });
  EXPECT_EQ(0, outcome.code);
  const std::string& text = outcome.error_text;
  const size_t said = text.find("no address space for another range");
  EXPECT_NE(std::string::npos, said) << text;
  EXPECT_EQ(std::string::npos, text.find("no address space", said + 1));
}

TEST(RangeTest, ADataLimitMakesItStrict) {
  if (kSanitized) GTEST_SKIP() << "SKIP: a sanitizer needs more data";
  in_child([] {
    rlimit limit = {64 * kGiB, 64 * kGiB};
    ASSERT_EQ(0, setrlimit(RLIMIT_DATA, &limit));
    CountCalls protect(FailCalls::kProtect);
    ASSERT_TRUE(init_ranges());
    EXPECT_TRUE(strict_mode());
    EXPECT_EQ(1, protect.seen());  // the records
    bool is_zero;
    ASSERT_TRUE(g_managed_ranges[0].commit_pages(16, 1, &is_zero));
    EXPECT_EQ(2, protect.seen());
    *(g_managed_ranges[0].start + 16 * kPageSize) = 'x';
  });
}

TEST(RangeTest, AnAddressSpaceLimitMakesRangesSmaller) {
  if (kSanitized) GTEST_SKIP() << "SKIP: a sanitizer has the addresses";
  ChildOutcome outcome = run_child([] {
    start_world();
    rlimit limit = {512 * kMiB, 512 * kMiB};
    ASSERT_EQ(0, setrlimit(RLIMIT_AS, &limit));
    ASSERT_TRUE(init_ranges());
    EXPECT_EQ(128 * kMiB, g_managed_ranges[0].size);
  });
  EXPECT_EQ(0, outcome.code) << outcome.error_text;
  EXPECT_NE(std::string::npos, outcome.error_text.find("limited to"));
}

}  // namespace
}  // namespace umemcg
