// What mimalloc maps by itself: blocks are charged whole and uncharged when
// they are unmapped, records go to the root, and what a range could serve is
// refused.

#include "alloc/own_map.h"

#include <sys/mman.h>

#include "alloc/range.h"
#include "tests/unit/alloc/alloc_fixture.h"

namespace umemcg {
namespace {

constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
constexpr size_t kBlock = 240 * kMiB;
constexpr int64_t kBlockPages = kBlock >> kPageShift;

class OwnMapTest : public AllocTest {
 protected:
  void SetUp() override {
    AllocTest::SetUp();
    account_own_maps();
    take_refused_map();
  }
  static void* map(size_t size) {
    return allocator_mmap(nullptr, size, PROT_READ | PROT_WRITE, kFlags, -1, 0);
  }
  static int64_t records() { return ledger_pages(*records_account()); }
};

TEST_F(OwnMapTest, ABlockIsChargedWholeAndUnchargedAtTheEnd) {
  void* block = map(kBlock);
  ASSERT_NE(MAP_FAILED, block);
  EXPECT_EQ(0u, reinterpret_cast<uintptr_t>(block) % (256 * kMiB));
  EXPECT_EQ(kBlockPages, usage(*account_));
  EXPECT_EQ(kBlockPages, stat_of(*account_, Stat::kUsed));
  static_cast<char*>(block)[kBlock - 1] = 'x';
  // mimalloc opens its blocks itself; they are open and charged already.
  EXPECT_EQ(0, allocator_mprotect(block, kBlock, PROT_READ | PROT_WRITE));
  EXPECT_EQ(kBlockPages, usage(*account_));
  EXPECT_EQ(0, allocator_munmap(block, kBlock));
  EXPECT_EQ(0, usage(*account_));
  expect_consistent(*account_);
}

TEST_F(OwnMapTest, ABlockUnmappedInPartsIsUnchargedInParts) {
  void* block = map(kBlock);
  ASSERT_NE(MAP_FAILED, block);
  char* start = static_cast<char*>(block);
  EXPECT_EQ(0, allocator_munmap(start, 5 * kPageSize));
  EXPECT_EQ(kBlockPages - 5, usage(*account_));
  EXPECT_EQ(0, allocator_munmap(start + 5 * kPageSize, kBlock - 5 * kPageSize));
  EXPECT_EQ(0, usage(*account_));
}

TEST_F(OwnMapTest, ABlockOverTheLimitIsRefusedAndUnmapped) {
  account_->counter.load()->store_max(100);
  errno = 0;
  CountCalls unmap(FailCalls::kUnmap);
  EXPECT_EQ(MAP_FAILED, map(kBlock));
  EXPECT_EQ(ENOMEM, errno);
  EXPECT_TRUE(t_charge_record.armed);
  EXPECT_EQ(kBlockPages, t_charge_record.pages);
  EXPECT_EQ(0, usage(*account_));
  EXPECT_GE(unmap.seen(), 1);
  // After a refusal in the same call nothing is mapped.
  account_->counter.load()->store_max(kPageCounterMax);
  EXPECT_EQ(MAP_FAILED, map(kBlock));
  t_charge_record.armed = false;
}

TEST_F(OwnMapTest, ABlockThatTheSystemRefusesChargesNothing) {
  errno = 0;
  FailCalls fail(FailCalls::kMap, ENOMEM);
  EXPECT_EQ(MAP_FAILED, map(kBlock));
  EXPECT_EQ(ENOMEM, errno);
  EXPECT_EQ(0, usage(*account_));
}

TEST_F(OwnMapTest, ABlockWithoutPageTableRowsChargesNothing) {
  errno = 0;
  // At an address that has no rows yet; the second map would be theirs.
  void* far = reinterpret_cast<void*>(uintptr_t{0x4b} << 40);
  FailCalls fail(FailCalls::kMap, ENOMEM, 2);
  EXPECT_EQ(MAP_FAILED,
            allocator_mmap(far, kBlock, PROT_READ | PROT_WRITE, kFlags, -1, 0));
  EXPECT_EQ(ENOMEM, errno);
  EXPECT_EQ(0, usage(*account_));
}

TEST_F(OwnMapTest, AnUnmapThatFailsSaysSo) {
  void* block = map(kBlock);
  ASSERT_NE(MAP_FAILED, block);
  {
    FailCalls fail(FailCalls::kUnmap, ENOMEM);
    errno = 0;
    EXPECT_EQ(-1, allocator_munmap(block, kBlock));
    EXPECT_EQ(ENOMEM, errno);
  }
  EXPECT_EQ(0, allocator_munmap(block, kBlock));
  EXPECT_EQ(0, usage(*account_));
}

TEST_F(OwnMapTest, WhatARangeCouldServeIsRefusedOnceAndNoted) {
  errno = EINTR;
  EXPECT_EQ(MAP_FAILED, map(10 * kMiB));
  EXPECT_EQ(EINTR, errno);  // mimalloc may yet do without
  EXPECT_EQ(MAP_FAILED, map(266 * kMiB));
  EXPECT_EQ(10 * kMiB, take_refused_map());
  EXPECT_EQ(0u, take_refused_map());
  EXPECT_EQ(0, usage(*account_));
  EXPECT_FALSE(t_charge_record.armed);
}

TEST_F(OwnMapTest, AnAlignedBlockIsMappedWhateverItsSize) {
  OwnMapScope scope;
  void* block = map(kMiB);
  ASSERT_NE(MAP_FAILED, block);
  EXPECT_EQ(256, usage(*account_));
  EXPECT_EQ(0, allocator_munmap(block, kMiB));
  EXPECT_EQ(0, usage(*account_));
}

TEST_F(OwnMapTest, AScopeWithinAnotherDoesNotEndIt) {
  OwnMapScope outer;
  { OwnMapScope inner; }
  void* block = map(kMiB);
  ASSERT_NE(MAP_FAILED, block);
  EXPECT_EQ(0, allocator_munmap(block, kMiB));
}

TEST_F(OwnMapTest, RecordsGoToTheRoot) {
  const int64_t before = records();
  void* leaf = map(64 * kKiB);
  ASSERT_NE(MAP_FAILED, leaf);
  EXPECT_EQ(before + 16, records());
  EXPECT_EQ(0, usage(*account_));
  EXPECT_EQ(0, allocator_munmap(leaf, 64 * kKiB));
  // Reserved first, opened later: charged when it is opened.
  void* map = allocator_mmap(nullptr, 64 * kKiB, PROT_NONE, kFlags, -1, 0);
  ASSERT_NE(MAP_FAILED, map);
  const int64_t reserved = records();
  EXPECT_EQ(0, allocator_mprotect(map, 8 * kPageSize, PROT_READ | PROT_WRITE));
  EXPECT_EQ(reserved + 8, records());
  EXPECT_EQ(0, usage(*account_));
  EXPECT_EQ(0, allocator_munmap(map, 64 * kKiB));
}

TEST_F(OwnMapTest, AProtectionThatFailsChargesNothing) {
  void* map = allocator_mmap(nullptr, 64 * kKiB, PROT_NONE, kFlags, -1, 0);
  ASSERT_NE(MAP_FAILED, map);
  const int64_t before = records();
  FailCalls fail(FailCalls::kProtect, ENOMEM);
  errno = 0;
  EXPECT_EQ(-1, allocator_mprotect(map, kPageSize, PROT_READ | PROT_WRITE));
  EXPECT_EQ(ENOMEM, errno);
  EXPECT_EQ(before, records());
}

}  // namespace
}  // namespace umemcg
