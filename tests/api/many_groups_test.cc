// Ten thousand groups in one process: made, used, removed, and nothing is left
// of them. The times and the memory that it prints are for people (the figures
// of docs/benchmarks.md come from here).

#include <malloc.h>
#include <umemcg/umemcg.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "tests/api/support.h"

namespace {

using api_test::number;
using api_test::touched;
using api_test::value_of;

constexpr size_t kGroups = 10'000;

using ManyGroups = api_test::InGroups;

// Says what one group took of it.
class Stage {
 public:
  explicit Stage(const char* name) : name_(name) {}
  ~Stage() {
    const std::chrono::duration<double, std::micro> time =
        std::chrono::steady_clock::now() - since_;
    std::printf("%-22s %8.2f us a group\n", name_,
                time.count() / static_cast<double>(kGroups));
  }

 private:
  const char* name_;
  std::chrono::steady_clock::time_point since_ =
      std::chrono::steady_clock::now();
};

std::string name_of(size_t i) { return "/tenants/t" + std::to_string(i); }

void use(umemcg_group* group) {
  ASSERT_EQ(umemcg_thread_set(group, nullptr), 0);
  void* block = touched(malloc(100), 100);
  ASSERT_NE(block, nullptr);
  ASSERT_EQ(umemcg_owner(block), group);
  free(block);
}

TEST_F(ManyGroups, ComeAndGo) {
  umemcg_group* const root = umemcg_group_open("/", 0);
  umemcg_group* const above = umemcg_group_open("/tenants", UMEMCG_CREATE);
  const int64_t records = value_of(root, "memory.stat", "percpu");
  std::vector<umemcg_group*> groups(kGroups);
  {
    Stage stage("create");
    for (size_t i = 0; i < kGroups; ++i) {
      groups[i] =
          umemcg_group_open(name_of(i).c_str(), UMEMCG_CREATE | UMEMCG_EXCL);
      ASSERT_NE(groups[i], nullptr) << i << ": " << std::strerror(errno);
    }
  }
  {
    Stage stage("first use");
    for (umemcg_group* group : groups) use(group);
  }
  {
    Stage stage("use, not in the cache");
    for (umemcg_group* group : groups) use(group);
  }
  ASSERT_EQ(umemcg_thread_set(nullptr, nullptr), 0);
  const int64_t now = value_of(root, "memory.stat", "percpu");
  std::printf("%-22s %8.1f KiB a group\n", "metadata",
              static_cast<double>(now - records) / 1024 / kGroups);
  {
    Stage stage("remove and close");
    for (size_t i = 0; i < kGroups; ++i) {
      ASSERT_EQ(umemcg_group_remove(name_of(i).c_str()), 0)
          << i << ": " << std::strerror(errno);
      umemcg_group_close(groups[i]);
    }
  }
  malloc_trim(0);
  EXPECT_EQ(number(above, "memory.current"), 0);
  EXPECT_EQ(value_of(above, "cgroup.stat", "nr_descendants"), 0);
  umemcg_group_close(above);
  umemcg_group_close(root);
}

}  // namespace
