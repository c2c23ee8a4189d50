// With libumemcg.so, in a process that is not accounted (UMEMCG_DISABLE=1).

#include "tests/api/support.h"

namespace api_test {
namespace {

TEST(Unaccounted, GroupsAreNotThere) {
  umemcg_group* other = nullptr;
  char text[32];
  const int errors[] = {
      error_of([] { umemcg_group_open("/a", UMEMCG_CREATE); }),
      error_of([] { umemcg_group_remove("/a"); }),
      error_of([&] { umemcg_group_path(nullptr, text, sizeof(text)); }),
      error_of([] { umemcg_group_ino(nullptr); }),
      error_of([] { umemcg_set(nullptr, "memory.max", "1G"); }),
      error_of([&] { umemcg_get(nullptr, "memory.max", text, sizeof(text)); }),
      error_of([] { umemcg_thread_set(nullptr, nullptr); }),
      error_of([] { umemcg_thread_flags(0); }),
      error_of([&] { umemcg_active_begin(nullptr, &other); }),
      error_of([] { umemcg_active_begin(nullptr, nullptr); }),
      error_of([] { umemcg_oom_callback(nullptr, nullptr); }),
      error_of([] { umemcg_charge(nullptr, UMEMCG_KMEM, 1, 0); })};
  for (int error : errors) EXPECT_EQ(error, ENODEV);
  errno = 0;
  umemcg_active_end(other);
  umemcg_uncharge(nullptr, UMEMCG_KMEM, 1);
  umemcg_group_close(nullptr);
  EXPECT_EQ(umemcg_thread_get(), nullptr);
  EXPECT_EQ(errno, 0);
}

TEST(Unaccounted, NothingIsTold) {
  uint64_t seen = 0;
  const int errors[] = {
      error_of([&] { umemcg_events_wait(nullptr, &seen, -1); }),
      error_of([] { umemcg_threshold_fd(nullptr, 4096); }),
      error_of([] { umemcg_pressure_fd(nullptr, 0, 0); }),
      error_of([] { umemcg_psi_fd(nullptr, 0, 1000, 1'000'000); }),
      error_of([] { umemcg_unlisten(0); }),
      error_of([] { umemcg_peak_open(nullptr); }),
      error_of([] { umemcg_peak_read(0); }),
      error_of([] { umemcg_peak_reset(0); }),
      error_of([] { umemcg_peak_close(0); })};
  for (int error : errors) EXPECT_EQ(error, ENODEV);
}

TEST(Unaccounted, NothingIsToBeShrunk) {
  umemcg_shrinker one{};
  one.size = sizeof(one);
  one.count = [](umemcg_group*, void*) { return size_t{0}; };
  one.scan = [](umemcg_group*, size_t, void*) { return size_t{0}; };
  umemcg_shrinker_stats stats{};
  stats.size = sizeof(stats);
  const int errors[] = {
      error_of([&] { umemcg_shrinker_register(nullptr, &one); }),
      error_of([] { umemcg_shrinker_unregister(256); }),
      error_of([&] { umemcg_shrinker_read(256, &stats); })};
  for (int error : errors) EXPECT_EQ(error, ENODEV);
}

TEST(Unaccounted, MemoryIs) {
  umemcg_group* any = as_handle(12345);
  for (umemcg_group* group : {static_cast<umemcg_group*>(nullptr), any}) {
    void* block = touched(umemcg_malloc(group, 1000), 1000);
    ASSERT_NE(block, nullptr);
    block = touched(umemcg_realloc(group, block, 2000), 2000);
    ASSERT_NE(block, nullptr);
    EXPECT_EQ(umemcg_owner(block), nullptr);
    EXPECT_EQ(umemcg_owner_ino(block), 0u);
    std::free(block);
    block = umemcg_calloc(group, 10, 100);
    ASSERT_NE(block, nullptr);
    umemcg_free(block);
    block = umemcg_aligned_alloc(group, 4096, 100);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(block) % 4096, 0u);
    umemcg_free(block);
  }
}

}  // namespace
}  // namespace api_test
