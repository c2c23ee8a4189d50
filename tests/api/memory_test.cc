// umemcg_malloc and its family, owners, and charges of objects.

#include <stdint.h>

#include <atomic>
#include <thread>

#include "tests/api/support.h"

namespace api_test {
namespace {

class Memory : public InGroups {};

constexpr auto kBlock = static_cast<int64_t>(kMiB);

TEST_F(Memory, IsChargedToTheGroup) {
  Opened group("/memory/group");
  void* block = touched(umemcg_malloc(group, kMiB), kMiB);
  ASSERT_NE(block, nullptr);
  EXPECT_GE(number(group, "memory.current"), kBlock);
  EXPECT_EQ(path(umemcg_owner(block)), "/memory/group");
  EXPECT_EQ(umemcg_owner_ino(block), umemcg_group_ino(group));
  EXPECT_EQ(umemcg_thread_get(), nullptr);
  std::free(block);  // the same as umemcg_free here
}

TEST_F(Memory, WithoutAGroupIsTheThreads) {
  Opened group("/memory/thread");
  ASSERT_EQ(umemcg_thread_set(group, nullptr), 0);
  void* block = touched(umemcg_malloc(nullptr, kMiB), kMiB);
  EXPECT_EQ(path(umemcg_owner(block)), "/memory/thread");
  umemcg_free(block);
}

TEST_F(Memory, ComesBeforeAScope) {
  Opened scope("/memory/scope"), group("/memory/call");
  umemcg_group* before;
  ASSERT_EQ(umemcg_active_begin(scope, &before), 0);
  void* block = touched(umemcg_malloc(group, kMiB), kMiB);
  umemcg_active_end(before);
  EXPECT_EQ(path(umemcg_owner(block)), "/memory/call");
  umemcg_free(block);
}

TEST_F(Memory, CallocIsZeroAndChecksItsProduct) {
  Opened group("/memory/calloc");
  auto* block = static_cast<unsigned char*>(umemcg_calloc(group, 1000, 100));
  ASSERT_NE(block, nullptr);
  for (int i = 0; i < 100'000; ++i) ASSERT_EQ(block[i], 0);
  EXPECT_EQ(path(umemcg_owner(block)), "/memory/calloc");
  umemcg_free(block);
  EXPECT_EQ(error_of([&] {
              EXPECT_EQ(umemcg_calloc(group, SIZE_MAX / 2, 4), nullptr);
            }),
            ENOMEM);
}

TEST_F(Memory, ReallocMovesToTheGroup) {
  Opened from("/memory/from"), to("/memory/to");
  auto* block = static_cast<char*>(umemcg_malloc(from, 100'000));
  ASSERT_NE(block, nullptr);
  std::memset(block, 'a', 100'000);
  block = static_cast<char*>(umemcg_realloc(to, block, 200'000));
  ASSERT_NE(block, nullptr);
  for (int i = 0; i < 100'000; ++i) ASSERT_EQ(block[i], 'a');
  EXPECT_EQ(path(umemcg_owner(block)), "/memory/to");
  block = static_cast<char*>(umemcg_realloc(to, block, 300'000));
  EXPECT_EQ(path(umemcg_owner(block)), "/memory/to");
  umemcg_free(block);
}

TEST_F(Memory, ReallocThatFailsLeavesTheBlock) {
  Opened from("/memory/roomy"), to("/memory/narrow");
  ASSERT_EQ(umemcg_set(to, "memory.max", "1M"), 0);
  auto* block = static_cast<char*>(umemcg_malloc(from, 100'000));
  std::memset(block, 'b', 100'000);
  EXPECT_EQ(error_of([&] {
              EXPECT_EQ(umemcg_realloc(to, block, 30 * kMiB), nullptr);
            }),
            ENOMEM);
  for (int i = 0; i < 100'000; ++i) ASSERT_EQ(block[i], 'b');
  EXPECT_EQ(path(umemcg_owner(block)), "/memory/roomy");
  umemcg_free(block);
}

TEST_F(Memory, Aligned) {
  Opened group("/memory/aligned");
  for (size_t alignment = 1; alignment <= 64 * 1024; alignment *= 2) {
    void* block = umemcg_aligned_alloc(group, alignment, 100'000);
    ASSERT_NE(block, nullptr) << alignment;
    EXPECT_EQ(reinterpret_cast<uintptr_t>(block) % alignment, 0u);
    EXPECT_EQ(path(umemcg_owner(block)), "/memory/aligned");
    umemcg_free(block);
  }
  for (size_t alignment : {0u, 3u, 24u}) {
    EXPECT_EQ(error_of([&] {
                EXPECT_EQ(umemcg_aligned_alloc(group, alignment, 8), nullptr);
              }),
              EINVAL);
  }
}

TEST_F(Memory, RefusedAtTheGroupsLimit) {
  Opened group("/memory/limited");
  ASSERT_EQ(umemcg_set(group, "memory.max", "8M"), 0);
  EXPECT_EQ(
      error_of([&] { EXPECT_EQ(umemcg_malloc(group, 20 * kMiB), nullptr); }),
      ENOMEM);
  void* block = umemcg_malloc(nullptr, 20 * kMiB);
  EXPECT_NE(block, nullptr);
  umemcg_free(block);
}

TEST_F(Memory, KeepsErrno) {
  Opened group("/memory/errno");
  errno = 13;
  umemcg_free(umemcg_malloc(group, kMiB));
  EXPECT_EQ(errno, 13);
}

TEST_F(Memory, OfARemovedGroupIsTheParents) {
  Opened parent("/memory/parent"), group("/memory/parent/gone");
  void* before = touched(umemcg_malloc(group, kMiB), kMiB);
  ASSERT_EQ(umemcg_group_remove("/memory/parent/gone"), 0);
  EXPECT_EQ(umemcg_owner_ino(before), umemcg_group_ino(parent));
  EXPECT_EQ(path(umemcg_owner(before)), "/memory/parent");
  void* after = touched(umemcg_malloc(group, kMiB), kMiB);
  ASSERT_NE(after, nullptr);
  EXPECT_EQ(umemcg_owner_ino(after), umemcg_group_ino(parent));
  EXPECT_GE(number(parent, "memory.current"), 2 * kBlock);
  umemcg_free(before);
  umemcg_free(after);
}

TEST(Owner, OfWhatIsNoBlock) {
  static int data;
  int stack = 0;
  for (const void* address :
       {static_cast<const void*>(nullptr), static_cast<const void*>(&data),
        static_cast<const void*>(&stack),
        reinterpret_cast<const void*>(&umemcg_owner),
        reinterpret_cast<const void*>(UINTPTR_MAX),
        reinterpret_cast<const void*>(uintptr_t{1} << 46)}) {
    EXPECT_EQ(umemcg_owner(address), nullptr) << address;
    EXPECT_EQ(umemcg_owner_ino(address), 0u) << address;
  }
}

TEST(Owner, FromAnyThreadAndAnywhereInTheBlock) {
  Opened group("/owner/inside");
  auto* block = static_cast<char*>(umemcg_malloc(group, kMiB));
  touched(block, kMiB);
  std::thread([&] {
    EXPECT_EQ(umemcg_owner_ino(block + kMiB / 2), umemcg_group_ino(group));
  }).join();
  umemcg_free(block);
}

// Memory that was set aside for the group and not used is nobody's.
TEST(Owner, OfWhatIsNotCharged) {
  Opened group("/owner/reserved");
  void* block = touched(umemcg_malloc(group, 40'000), 40'000);
  ASSERT_EQ(umemcg_owner_ino(block), umemcg_group_ino(group));
  const uintptr_t around =
      reinterpret_cast<uintptr_t>(block) & ~uintptr_t{16 * kMiB - 1};
  int64_t named = 0;
  for (uintptr_t at = around; at < around + 32 * kMiB; at += 4096) {
    const auto* page = reinterpret_cast<const void*>(at);
    if (umemcg_owner_ino(page) != umemcg_group_ino(group)) continue;
    EXPECT_EQ(bits_of(umemcg_owner(page)), bits_of(group));
    named += 4096;
  }
  EXPECT_EQ(named, value_of(group, "memory.stat", "anon"));
  umemcg_free(block);
}

TEST(Charge, CountsWholePages) {
  Opened group("/charge/pages");
  EXPECT_EQ(umemcg_charge(group, UMEMCG_MMAP, kMiB, 0), 0);
  const int64_t charged = number(group, "memory.current");
  EXPECT_GE(charged, kBlock);
  EXPECT_LE(charged, kBlock + 64 * 4096);  // with what is charged ahead
  umemcg_uncharge(group, UMEMCG_MMAP, kMiB);
  EXPECT_LE(number(group, "memory.current"), 64 * 4096);
}

TEST(Charge, ManySmallOnesAreTheirSum) {
  Opened group("/charge/small");
  for (int i = 0; i < 10'000; ++i) {
    ASSERT_EQ(umemcg_charge(group, UMEMCG_KMEM, 1000, 0), 0);
  }
  const int64_t charged = number(group, "memory.current");
  EXPECT_GE(charged, 10'000'000);
  EXPECT_LE(charged, 10'000'000 + 128 * 4096);
  for (int i = 0; i < 1'000; ++i) umemcg_uncharge(group, UMEMCG_KMEM, 10'000);
  EXPECT_LE(number(group, "memory.current"), 128 * 4096);
}

TEST(Charge, RefusedAtTheLimit) {
  Opened group("/charge/limit");
  ASSERT_EQ(umemcg_set(group, "memory.max", "1M"), 0);
  EXPECT_EQ(error_of([&] {
              EXPECT_EQ(umemcg_charge(group, UMEMCG_SHMEM, 2 * kMiB, 0), -1);
            }),
            ENOMEM);
  for (int flag : {UMEMCG_NOWAIT, UMEMCG_NORETRY, UMEMCG_RETRY_MAYFAIL}) {
    EXPECT_EQ(umemcg_charge(group, UMEMCG_SHMEM, 2 * kMiB, flag), -1) << flag;
  }
  EXPECT_LE(number(group, "memory.current"), kBlock);
}

// Exactly as many pages as there are, whatever is charged ahead.
TEST(Charge, ToTheLastPage) {
  Opened group("/charge/last");
  ASSERT_EQ(umemcg_set(group, "memory.max", "409600"), 0);
  int charged = 0;
  while (umemcg_charge(group, UMEMCG_HEAP, 4096, 0) == 0) ++charged;
  EXPECT_EQ(charged, 100);
  for (; charged > 0; --charged) umemcg_uncharge(group, UMEMCG_HEAP, 4096);
}

TEST(Charge, NofailGoesOver) {
  Opened group("/charge/over");
  ASSERT_EQ(umemcg_set(group, "memory.max", "1M"), 0);
  EXPECT_EQ(umemcg_charge(group, UMEMCG_SOCK, 2 * kMiB, UMEMCG_NOFAIL), 0);
  EXPECT_GE(number(group, "memory.current"), 2 * kBlock);
  umemcg_uncharge(group, UMEMCG_SOCK, 2 * kMiB);
}

TEST(Charge, WhatIsNoCharge) {
  Opened group("/charge/bad");
  const int errors[] = {
      error_of([&] { umemcg_charge(group, -1, 1, 0); }),
      error_of([&] { umemcg_charge(group, UMEMCG_SOCK + 1, 1, 0); }),
      error_of([&] { umemcg_charge(group, UMEMCG_KMEM, 1, 256); }),
      error_of([&] { umemcg_charge(group, UMEMCG_KMEM, SIZE_MAX, 0); })};
  for (int error : errors) EXPECT_EQ(error, EINVAL);
  umemcg_uncharge(group, -1, 1);
  umemcg_uncharge(group, 99, 1);
  umemcg_uncharge(group, UMEMCG_KMEM, SIZE_MAX);
  EXPECT_EQ(number(group, "memory.current"), 0);
}

// What another thread has left of a page pays for the bytes beyond the last
// page that the kind's limit has room for.
TEST(Charge, ToTheLastByteOfAKind) {
  Opened group("/charge/kind");
  ASSERT_EQ(umemcg_set(group, "memory.kmem.limit_in_bytes", "40960"), 0);
  std::atomic<int> step{0};
  std::thread other([&] {
    EXPECT_EQ(umemcg_charge(group, UMEMCG_KMEM, 100, 0), 0);
    step = 1;
    while (step != 2) std::this_thread::yield();
    umemcg_uncharge(group, UMEMCG_KMEM, 100);
  });
  while (step != 1) std::this_thread::yield();
  EXPECT_EQ(umemcg_charge(group, UMEMCG_KMEM, 8 * 4096, 0), 0);
  EXPECT_EQ(umemcg_charge(group, UMEMCG_KMEM, 4096 + 200, 0), 0);
  EXPECT_EQ(number(group, "memory.kmem.usage_in_bytes"), 40960);
  EXPECT_EQ(umemcg_charge(group, UMEMCG_KMEM, 4096, 0), -1);
  umemcg_uncharge(group, UMEMCG_KMEM, 9 * 4096 + 200);
  step = 2;
  other.join();
  EXPECT_LE(number(group, "memory.kmem.usage_in_bytes"), 4096);
}

TEST(Charge, WhatWasNotChargedIsNotTakenFromOthers) {
  Opened group("/charge/nothing");
  void* block = touched(umemcg_malloc(group, 4 * kMiB), 4 * kMiB);
  ASSERT_EQ(umemcg_charge(group, UMEMCG_SOCK, kMiB, 0), 0);
  const int64_t charged = number(group, "memory.current");
  for (int kind : {UMEMCG_HEAP, UMEMCG_MMAP, UMEMCG_SHMEM, UMEMCG_KMEM}) {
    umemcg_uncharge(group, kind, kMiB);
    EXPECT_EQ(number(group, "memory.current"), charged) << kind;
  }
  // No more than there is of it.
  ASSERT_EQ(umemcg_charge(group, UMEMCG_MMAP, kMiB, 0), 0);
  umemcg_uncharge(group, UMEMCG_MMAP, 3 * kMiB);
  EXPECT_GE(number(group, "memory.current"), charged - 64 * 4096);
  umemcg_uncharge(group, UMEMCG_SOCK, kMiB);
  umemcg_free(block);
}

TEST(Charge, OfARemovedGroupIsTheParents) {
  Opened parent("/charge/parent"), group("/charge/parent/gone");
  ASSERT_EQ(umemcg_charge(group, UMEMCG_KMEM, kMiB, 0), 0);
  ASSERT_EQ(umemcg_group_remove("/charge/parent/gone"), 0);
  EXPECT_GE(number(parent, "memory.current"), kBlock);
  umemcg_uncharge(group, UMEMCG_KMEM, kMiB);
  EXPECT_LE(number(parent, "memory.current"), 128 * 4096);
  ASSERT_EQ(umemcg_charge(group, UMEMCG_KMEM, kMiB, 0), 0);
  EXPECT_GE(number(parent, "memory.current"), kBlock);
  umemcg_uncharge(group, UMEMCG_KMEM, kMiB);
}

TEST(Charge, OfTheProcess) {
  const int64_t before = number(nullptr, "memory.current");
  ASSERT_EQ(umemcg_charge(nullptr, UMEMCG_MMAP, 64 * kMiB, 0), 0);
  EXPECT_GE(number(nullptr, "memory.current"), before + 60 * kBlock);
  umemcg_uncharge(nullptr, UMEMCG_MMAP, 64 * kMiB);
  EXPECT_LE(number(nullptr, "memory.current"), before + 4 * kBlock);
}

}  // namespace
}  // namespace api_test
