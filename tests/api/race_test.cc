// Threads open, use, close and remove the same few groups at once, by handles
// that others have made stale. Whatever a call answers, nothing breaks, every
// group can be removed in the end, and nothing stays charged.

#include <malloc.h>

#include <array>
#include <atomic>
#include <chrono>
#include <random>
#include <thread>
#include <vector>

#include "tests/api/support.h"

namespace api_test {
namespace {

constexpr int kThreads = 4;
constexpr int kGroups = 6;
constexpr auto kDuration = std::chrono::milliseconds(1500);

std::string name_of(size_t number) {
  std::string name = "/race/";
  return name += std::to_string(number);
}

class Racer {
 public:
  explicit Racer(unsigned seed) : random_(seed) {}

  // Handles that any thread has had, of any age.
  static std::array<std::atomic<umemcg_group*>, 16> handles;

  void step() {
    umemcg_group* group = any_handle().load();
    switch (random_() % 10) {
      case 0:
      case 1:
        group = umemcg_group_open(any_name().c_str(), UMEMCG_CREATE);
        umemcg_group_close(any_handle().exchange(group));
        break;
      case 2:
        umemcg_group_close(group);
        break;
      case 3:
        umemcg_group_remove(any_name().c_str());
        break;
      case 4:
        if (umemcg_thread_set(group, nullptr) != 0) {
          EXPECT_TRUE(errno == EBADF || errno == ESTALE) << errno;
        }
        break;
      case 5:
        umemcg_thread_set(nullptr, nullptr);
        break;
      case 6:
        keep(umemcg_malloc(group, 1 + random_() % 100'000));
        break;
      case 7:
        keep(std::malloc(1 + random_() % 100'000));
        break;
      case 8:
        charge(group);
        break;
      default:
        ask(group);
    }
  }

  void end() {
    for (void* block : blocks_) umemcg_free(block);
    umemcg_thread_set(nullptr, nullptr);
  }

 private:
  std::atomic<umemcg_group*>& any_handle() {
    return handles[random_() % handles.size()];
  }
  std::string any_name() { return name_of(random_() % kGroups); }

  // Frees another of the thread's blocks.
  void keep(void* block) {
    std::swap(blocks_[random_() % blocks_.size()], block);
    umemcg_free(block);
  }

  // An object that comes and goes, held by a handle of its own.
  void charge(umemcg_group* group) {
    char at[256];
    if (umemcg_group_path(group, at, sizeof(at)) == nullptr) return;
    umemcg_group* own = umemcg_group_open(at, 0);
    if (own == nullptr) return;
    const size_t bytes = 1 + random_() % 10'000;
    if (umemcg_charge(own, UMEMCG_KMEM, bytes, 0) == 0) {
      umemcg_uncharge(own, UMEMCG_KMEM, bytes);
    }
    umemcg_group_close(own);
  }

  void ask(umemcg_group* group) {
    get(group, "memory.current");
    umemcg_group* owner = umemcg_owner(blocks_[random_() % blocks_.size()]);
    if (owner != nullptr) path(owner);
    umemcg_group* before;
    umemcg_active_begin(group, &before);
    keep(std::malloc(1 + random_() % 1000));
    umemcg_active_end(before);
  }

  std::mt19937 random_;
  std::array<void*, 32> blocks_{};
};

std::array<std::atomic<umemcg_group*>, 16> Racer::handles;

// Removes what is left; false if a group is in use.
bool all_removed() {
  for (size_t i = 0; i < kGroups; ++i) {
    if (umemcg_group_remove(name_of(i).c_str()) != 0 && errno != ENOENT) {
      return false;
    }
  }
  return true;
}

TEST(Race, HandlesOfAllAges) {
  Opened top("/race");
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < kThreads; ++t) {
    threads.emplace_back([t] {
      Racer racer(t);
      const auto end = std::chrono::steady_clock::now() + kDuration;
      while (std::chrono::steady_clock::now() < end) racer.step();
      racer.end();
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (auto& handle : Racer::handles) umemcg_group_close(handle);
  ASSERT_TRUE(all_removed()) << errno;
  // What was theirs is the parent's now, and was freed. One trim gives back
  // all of it: what ended threads left in the heaps, remainders of objects, and
  // the allocator's own records that were made at the groups' expense.
  malloc_trim(0);
  EXPECT_EQ(get(top, "memory.current"), "0\n")
      << get(top, "memory.stat") << get(top, "cgroup.stat");
  EXPECT_EQ(value_of(top, "memory.stat", "anon"), 0);
  EXPECT_EQ(value_of(top, "memory.stat", "kernel"), 0);
}

}  // namespace
}  // namespace api_test
