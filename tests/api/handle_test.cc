// What is no valid handle fails with EBADF, in every function, and harms
// nothing.

#include <chrono>
#include <thread>
#include <vector>

#include "tests/api/support.h"

namespace api_test {
namespace {

class Handle : public InGroups {};

void expect_bad(umemcg_group* group) {
  SCOPED_TRACE(bits_of(group));
  char text[64];
  umemcg_group* other = nullptr;
  EXPECT_EQ(error_of([&] {
              EXPECT_EQ(umemcg_group_path(group, text, sizeof(text)), nullptr);
            }),
            EBADF);
  EXPECT_EQ(error_of([&] { EXPECT_EQ(umemcg_group_ino(group), 0u); }), EBADF);
  EXPECT_EQ(
      error_of([&] { EXPECT_EQ(umemcg_set(group, "memory.max", "1G"), -1); }),
      EBADF);
  EXPECT_EQ(error_of([&] {
              EXPECT_EQ(umemcg_get(group, "memory.max", text, sizeof(text)),
                        -1);
            }),
            EBADF);
  EXPECT_EQ(error_of([&] { EXPECT_EQ(umemcg_thread_set(group, &other), -1); }),
            EBADF);
  EXPECT_EQ(
      error_of([&] { EXPECT_EQ(umemcg_active_begin(group, &other), -1); }),
      EBADF);
  umemcg_active_end(other);
  EXPECT_EQ(error_of([&] { EXPECT_EQ(umemcg_malloc(group, 8), nullptr); }),
            EBADF);
  EXPECT_EQ(error_of([&] { EXPECT_EQ(umemcg_calloc(group, 8, 8), nullptr); }),
            EBADF);
  EXPECT_EQ(
      error_of([&] { EXPECT_EQ(umemcg_realloc(group, nullptr, 8), nullptr); }),
      EBADF);
  EXPECT_EQ(error_of([&] {
              EXPECT_EQ(umemcg_aligned_alloc(group, 64, 64), nullptr);
            }),
            EBADF);
  EXPECT_EQ(error_of([&] {
              EXPECT_EQ(umemcg_charge(group, UMEMCG_KMEM, 4096, 0), -1);
            }),
            EBADF);
  errno = 3;
  umemcg_uncharge(group, UMEMCG_KMEM, 4096);
  umemcg_group_close(group);
  EXPECT_EQ(errno, 3);
}

// Heaps of removed groups go at slow paths, some time after the last block.
void expect_bad_soon(umemcg_group* group) {
  for (int i = 0; i < 500 && umemcg_group_ino(group) != 0; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    Opened slow_path("/slow");
  }
  expect_bad(group);
}

TEST_F(Handle, Garbage) {
  Opened group("/garbage");
  const uint64_t good = bits_of(group);
  int local = 0;
  expect_bad(as_handle(1));
  expect_bad(as_handle(reinterpret_cast<uint64_t>(&local)));
  expect_bad(as_handle(UINT64_MAX));
  // Right but for one part: the tag, the generation, the place.
  expect_bad(as_handle(good ^ uint64_t{1} << 60));
  expect_bad(as_handle(good + (uint64_t{1} << 24)));
  expect_bad(as_handle(good | 0xffffff));
  expect_bad(as_handle(good & ~uint64_t{0xffffff}));
  EXPECT_EQ(path(group), "/garbage");
}

TEST_F(Handle, EveryBitCounts) {
  Opened group("/bits");
  for (int bit = 0; bit < 64; ++bit) {
    umemcg_group* other = as_handle(bits_of(group) ^ uint64_t{1} << bit);
    char text[64];
    // Another place may hold another group's account; it is never this one.
    const char* found = umemcg_group_path(other, text, sizeof(text));
    EXPECT_NE(found != nullptr ? std::string(found) : "", "/bits") << bit;
  }
}

TEST_F(Handle, StaleWhenRemovedAndClosed) {
  umemcg_group* group = umemcg_group_open("/stale", UMEMCG_CREATE);
  ASSERT_NE(group, nullptr);
  ASSERT_EQ(umemcg_group_remove("/stale"), 0);
  umemcg_group_close(group);
  expect_bad(group);
}

TEST_F(Handle, StaleWhenItsLastBlockIsFreed) {
  umemcg_group* group = umemcg_group_open("/zombie", UMEMCG_CREATE);
  ASSERT_NE(group, nullptr);
  void* block = touched(umemcg_malloc(group, kMiB), kMiB);
  ASSERT_EQ(umemcg_group_remove("/zombie"), 0);
  umemcg_group_close(group);
  EXPECT_NE(umemcg_group_ino(group), 0u);
  umemcg_free(block);
  expect_bad_soon(group);
}

TEST_F(Handle, StaleWhenItsPlaceIsAnothers) {
  std::vector<umemcg_group*> old;
  for (int i = 0; i < 50; ++i) {
    umemcg_group* group = umemcg_group_open("/place", UMEMCG_CREATE);
    ASSERT_NE(group, nullptr);
    for (umemcg_group* before : old) ASSERT_NE(group, before);
    old.push_back(group);
    ASSERT_EQ(umemcg_group_remove("/place"), 0);
    umemcg_group_close(group);
  }
  Opened last("/place");
  for (umemcg_group* group : old) expect_bad(group);
}

TEST_F(Handle, EqualForOneGroup) {
  Opened first("/equal"), second("/equal");
  EXPECT_EQ(bits_of(first), bits_of(second));
}

TEST_F(Handle, AnyNumberOfClosesTooMany) {
  Opened kept("/closes");
  umemcg_group* again = umemcg_group_open("/closes", 0);
  for (int i = 0; i < 10; ++i) umemcg_group_close(again);
  ASSERT_EQ(umemcg_thread_set(again, nullptr), 0);
  void* block = touched(std::malloc(kMiB), kMiB);
  EXPECT_EQ(bits_of(umemcg_owner(block)), bits_of(again));
  for (int i = 0; i < 10; ++i) umemcg_group_close(again);
  std::free(block);
  ASSERT_EQ(umemcg_thread_set(nullptr, nullptr), 0);
  EXPECT_EQ(path(again), "/closes");  // the group is online
}

TEST_F(Handle, CloseOfNull) {
  errno = 5;
  umemcg_group_close(nullptr);
  EXPECT_EQ(errno, 5);
}

TEST_F(Handle, TheThreadStaysInAClosedGroup) {
  umemcg_group* group = umemcg_group_open("/closed", UMEMCG_CREATE);
  ASSERT_EQ(umemcg_thread_set(group, nullptr), 0);
  umemcg_group_close(group);
  EXPECT_EQ(bits_of(umemcg_thread_get()), bits_of(group));
  void* block = touched(std::malloc(kMiB), kMiB);
  EXPECT_EQ(path(umemcg_owner(block)), "/closed");
  std::free(block);
}

}  // namespace
}  // namespace api_test
