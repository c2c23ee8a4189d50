// Charges by the byte: what a model says is charged, at every step.

#include "reclaim/charge_object.h"

#include <gtest/gtest.h>

#include <thread>

#include "accounting/mem_cgroup.h"
#include "stock/obj_stock.h"
#include "tests/unit/reclaim/object_fixture.h"

namespace umemcg {
namespace {

TEST_F(ChargeObjectTest, NothingIsChargedForNothing) {
  Account& a = new_account(0);
  for (Kind kind : kEveryKind) EXPECT_EQ(0, charge_object(a, kind, 0, 0));
  uncharge_object(a, Kind::kKmem, 0);
  EXPECT_EQ(0, usage(a));
  EXPECT_EQ(0u, a.counter.load()->failcnt());
}

TEST_F(ChargeObjectTest, SmallObjectsShareAPage) {
  Account& a = new_account();
  for (int i = 0; i < 40; ++i) {
    ASSERT_EQ(0, charge_object(a, Kind::kShmem, 100, 0));
  }
  EXPECT_EQ(1, usage(a) - own_stock(a));
  for (int i = 0; i < 40; ++i) uncharge_object(a, Kind::kShmem, 100);
  EXPECT_EQ(0, usage(a) - own_stock(a));
  settle();
  EXPECT_EQ(0, usage(a));
  EXPECT_EQ(0, ledger_pages(a));
}

TEST_F(ChargeObjectTest, PortionsNeedNotBeTheSame) {
  Account& a = new_account();
  ASSERT_EQ(0, charge_object(a, Kind::kKmem, 10 * kPage + 1, 0));
  EXPECT_EQ(11, a.ledger->kmem.load());
  for (int i = 0; i < 10; ++i) uncharge_object(a, Kind::kKmem, kPage - 1);
  EXPECT_EQ(1, a.ledger->kmem.load());
  uncharge_object(a, Kind::kKmem, 11);
  EXPECT_EQ(0, a.ledger->kmem.load());
  settle();
  EXPECT_EQ(0, usage(a));
}

TEST_F(ChargeObjectTest, TheTailOfALargeObjectComesOutOfWhatIsLeft) {
  Account& a = new_account();
  ASSERT_EQ(0, charge_object(a, Kind::kKmem, 1000, 0));
  ASSERT_EQ(0, charge_object(a, Kind::kKmem, 2 * kPage + 3096, 0));
  EXPECT_EQ(3, a.ledger->kmem.load());
  ASSERT_EQ(0, charge_object(a, Kind::kKmem, 1, 0));
  EXPECT_EQ(4, a.ledger->kmem.load());
  uncharge_object(a, Kind::kKmem, 3 * kPage + 1);
  settle();
  EXPECT_EQ(0, usage(a));
}

TEST_F(ChargeObjectTest, KmemAndSockHaveCountersOfTheirOwn) {
  uint32_t parent = new_group();
  Account& a = new_account(kPageCounterMax, parent);
  ASSERT_EQ(0, charge_object(a, Kind::kKmem, 3 * kPage, 0));
  ASSERT_EQ(0, charge_object(a, Kind::kSock, 2 * kPage, 0));
  ASSERT_EQ(0, charge_object(a, Kind::kMmap, 1 * kPage, 0));
  for (Group* group : {&group_of(a), g_segment.group(parent)}) {
    EXPECT_EQ(6, group->memory.usage() - own_stock(a));
    EXPECT_EQ(3, group->kmem.usage());
    EXPECT_EQ(2, group->sock.usage());
  }
  uncharge_object(a, Kind::kKmem, 3 * kPage);
  uncharge_object(a, Kind::kSock, 2 * kPage);
  uncharge_object(a, Kind::kMmap, 1 * kPage);
  settle();
  for (Group* group : {&group_of(a), g_segment.group(parent)}) {
    EXPECT_EQ(0, group->memory.usage());
    EXPECT_EQ(0, group->kmem.usage());
    EXPECT_EQ(3, group->kmem.watermark());
    EXPECT_EQ(0, group->sock.usage());
  }
}

TEST_F(ChargeObjectTest, AKindsLimitRefuses) {
  uint32_t parent = new_group();
  Account& a = new_account(kPageCounterMax, parent);
  PageCounter& limit = g_segment.group(parent)->sock;
  limit.store_max(2);
  ASSERT_EQ(0, charge_object(a, Kind::kSock, 2 * kPage, 0));
  const int64_t before = usage(a) - own_stock(a);
  EXPECT_EQ(ENOMEM, charge_object(a, Kind::kSock, 1, 0));
  EXPECT_EQ(ENOMEM, charge_object(a, Kind::kSock, 100 * kPage, 0));
  EXPECT_EQ(2u, limit.failcnt());
  EXPECT_EQ(before, usage(a) - own_stock(a));
  EXPECT_EQ(2, limit.usage());
  // That is no failure of the group's own limit.
  EXPECT_EQ(0u, group_of(a).events[static_cast<int>(Event::kMax)].load());
  EXPECT_EQ(0, charge_object(a, Kind::kKmem, 3 * kPage, 0));
  EXPECT_EQ(0, charge_object(a, Kind::kSock, 3 * kPage, kChargeNoFail));
  EXPECT_EQ(5, limit.usage());
  EXPECT_EQ(3u, limit.failcnt());
}

TEST_F(ChargeObjectTest, WhatIsNoChargeIsRefused) {
  Account& a = new_account();
  EXPECT_EQ(EINVAL, charge_object(a, static_cast<Kind>(kKinds), 1, 0));
  EXPECT_EQ(EINVAL, charge_object(a, Kind::kKmem, 1, 16));
  EXPECT_EQ(EINVAL, charge_object(a, Kind::kKmem, 1, UINT32_MAX));
  uncharge_object(a, static_cast<Kind>(kKinds), 1);
  for (uint32_t flags : {0u, uint32_t{kChargeNoFail}}) {
    EXPECT_EQ(ENOMEM, charge_object(a, Kind::kKmem, SIZE_MAX, flags));
    EXPECT_EQ(ENOMEM, charge_object(a, Kind::kKmem, SIZE_MAX - kPage, flags));
    EXPECT_EQ(ENOMEM,
              charge_object(a, Kind::kKmem, size_t{PTRDIFF_MAX} + 1, flags));
  }
  EXPECT_EQ(0, usage(a));
  EXPECT_EQ(0, a.ledger->kmem.load());
}

// As much as a counter counts, and the same again.
TEST_F(ChargeObjectTest, CountersDoNotOverflow) {
  Account& a = new_account();
  settle();
  const auto most = static_cast<size_t>(
      kPageCounterMax - g_segment.group(kRootGroup)->memory.usage());
  const size_t bytes = most << kPageShift;
  ASSERT_EQ(0, charge_object(a, Kind::kMmap, bytes, 0));
  for (uint32_t flags : {0u, uint32_t{kChargeNoFail}}) {
    EXPECT_EQ(ENOMEM, charge_object(a, Kind::kMmap, bytes, flags));
    EXPECT_EQ(ENOMEM, charge_object(a, Kind::kMmap, 1, flags));
  }
  uncharge_object(a, Kind::kMmap, bytes);
  EXPECT_EQ(0, usage(a));
}

TEST_F(ChargeObjectTest, AFailedChargeLeavesNothing) {
  Account& a = new_account(4);
  ASSERT_EQ(0, charge_object(a, Kind::kKmem, 4 * kPage - 50, 0));
  EXPECT_EQ(ENOMEM, charge_object(a, Kind::kKmem, kPage + 50, 0));
  EXPECT_EQ(ENOMEM, charge_object(a, Kind::kKmem, 51, 0));
  EXPECT_EQ(ENOMEM, charge_object(a, Kind::kSock, 1, 0));
  EXPECT_EQ(4, usage(a));
  EXPECT_EQ(0, charge_object(a, Kind::kKmem, 50, 0));
  EXPECT_EQ(ENOMEM, charge_object(a, Kind::kKmem, 1, 0));
}

TEST_F(ChargeObjectTest, WhatOtherThreadsKeepOfAPageIsNoReasonToFail) {
  Account& a = new_account(1);
  std::thread([&] {
    ASSERT_EQ(0, charge_object(a, Kind::kKmem, 1000, 0));
    set_thread_line(nullptr);  // asleep for ever
  }).join();
  EXPECT_EQ(0, charge_object(a, Kind::kKmem, kPage - 1000, 0));
  EXPECT_EQ(ENOMEM, charge_object(a, Kind::kKmem, 1, 0));
  EXPECT_EQ(18u, a.counter.load()->failcnt());  // its passes
}

TEST_F(ChargeObjectTest, AThreadThatEndsLeavesItsRestWithTheAccount) {
  Account& a = new_account();
  std::thread([&] {
    EXPECT_EQ(0, charge_object(a, Kind::kKmem, 1000, 0));
    EXPECT_EQ(0, a.remainder[kKmemPart].load());
    flush_thread_objects();
    EXPECT_EQ(kPage - 1000, a.remainder[kKmemPart].load());
    release_line();
  }).join();
  EXPECT_EQ(0, charge_object(a, Kind::kKmem, kPage - 1000, 0));
  EXPECT_EQ(1, a.ledger->kmem.load());
}

TEST_F(ChargeObjectTest, AnEndingThreadChargesWithoutALine) {
  Account& a = new_account();
  t_context.exiting = true;
  EXPECT_EQ(0, charge_object(a, Kind::kSock, 1000, 0));
  EXPECT_EQ(0, charge_object(a, Kind::kSock, 1000, 0));
  EXPECT_EQ(nullptr, thread_line());
  EXPECT_EQ(1, usage(a));
  uncharge_object(a, Kind::kSock, 2000);
  EXPECT_EQ(0, usage(a));
  EXPECT_EQ(0, a.ledger->sock.load());
}

TEST_F(ChargeObjectTest, NothingIsTakenFromAnInheritedAccount) {
  Account& a = new_account();
  ASSERT_EQ(0, charge_object(a, Kind::kKmem, 5 * kPage, 0));
  a.inherited.store(true);
  uncharge_object(a, Kind::kKmem, 5 * kPage);
  uncharge_object(a, Kind::kKmem, 5);
  a.inherited.store(false);
  EXPECT_EQ(5, a.ledger->kmem.load());
  EXPECT_EQ(0u, thread_line()->object.load());
}

TEST_F(ChargeObjectTest, ErrnoIsKept) {
  Account& a = new_account(1);
  errno = EINTR;
  EXPECT_EQ(0, charge_object(a, Kind::kKmem, 1, 0));
  EXPECT_EQ(ENOMEM, charge_object(a, Kind::kKmem, 2 * kPage, 0));
  uncharge_object(a, Kind::kKmem, 1);
  EXPECT_EQ(EINTR, errno);
}

// The group goes, the account stays for what it has charged: that is the
// parent's from then on.
TEST_F(ChargeObjectTest, ItSurvivesTheGroup) {
  const uint32_t parent = new_group();
  Group& above = *g_segment.group(parent);
  Account& a = new_account(kPageCounterMax, parent);
  ASSERT_TRUE(account_get(a));
  ASSERT_EQ(0, charge_object(a, Kind::kKmem, 10 * kPage + 1, 0));
  ASSERT_EQ(0, charge_object(a, Kind::kHeap, 3 * kPage, 0));
  settle();
  EXPECT_EQ(14, above.memory.usage());
  ASSERT_EQ(0, remove_group(g_segment, a.group));
  sync_accounts();
  ASSERT_TRUE(a.stale.load());
  EXPECT_EQ(parent, a.charged.load());
  EXPECT_EQ(14, above.memory.usage());
  EXPECT_EQ(11, above.kmem.usage());
  uncharge_object(a, Kind::kKmem, 10 * kPage);
  uncharge_object(a, Kind::kHeap, 3 * kPage);
  settle();
  EXPECT_EQ(1, above.memory.usage());
  EXPECT_EQ(1, above.kmem.usage());
  // What is charged to it still works, and is the parent's.
  ASSERT_EQ(0, charge_object(a, Kind::kKmem, kPage - 1, 0));
  EXPECT_EQ(1, above.kmem.usage());
  ASSERT_EQ(0, charge_object(a, Kind::kKmem, 2, 0));
  EXPECT_EQ(2, above.kmem.usage());
  uncharge_object(a, Kind::kKmem, kPage + 2);
  settle();
  EXPECT_EQ(0, above.memory.usage());
  EXPECT_EQ(0, above.kmem.usage());
  EXPECT_EQ(0, account_pages(a));
  for (auto& remainder : a.remainder) EXPECT_EQ(0, remainder.load());
  account_put(a);
}

// 16 threads that charged a little each and sleep strand no page.
TEST_F(ChargeObjectTest, IdleThreadsKeepLessThanAPageEach) {
  Account& a = new_account();
  for (int i = 0; i < 16; ++i) {
    std::thread([&] {
      ASSERT_EQ(0, charge_object(a, Kind::kKmem, 3 * kPage + 1, 0));
      uncharge_object(a, Kind::kKmem, 3 * kPage);
      set_thread_line(nullptr);  // asleep for ever
    }).join();
  }
  drain_all_stock(g_segment, kRootGroup);
  EXPECT_EQ(16, usage(a));
  drain_objects(a.group);
  EXPECT_EQ(1, usage(a));
}

}  // namespace
}  // namespace umemcg
