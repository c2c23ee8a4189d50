// Many groups, and many hands.

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "accounting/mem_cgroup.h"
#include "tests/unit/accounting/fixture.h"
#include "tests/unit/accounting/tree_check.h"

namespace umemcg {
namespace {

using test::tree_faults;

int create(const std::string& path) {
  uint32_t group;
  return create_group(g_segment, path.c_str(), &group);
}
uint32_t find(const std::string& path) {
  return find_group(g_segment, path.c_str());
}
int remove(const std::string& path) {
  return remove_group(g_segment, find(path));
}

// Ten thousand groups at all depths, removed in any order that children allow.
TEST(LargeTree, ComesAndGoes) {
  constexpr uint32_t kGroups = 10'000;
  ASSERT_EQ(g_segment.create_private({kGroups + 1, 4, 8, 8}), 0);
  std::mt19937 random(1);
  for (int round = 0; round < 2; ++round) {
    std::vector<std::string> paths;
    for (uint32_t i = 0; paths.size() < kGroups; ++i) {
      std::string path = std::to_string(i);
      const uint32_t depth = 1 + test::pick(random, kMaxDepth);
      for (uint32_t d = 0; d < depth && paths.size() < kGroups; ++d) {
        ASSERT_EQ(create(path), 0) << path;
        paths.push_back(path);
        path.append("/").append(std::to_string(test::pick(random, 3)));
      }
    }
    EXPECT_EQ(test::rows_in_use(g_segment), kGroups + 1);
    EXPECT_EQ(create("/one more"), ENOSPC);
    EXPECT_EQ(tree_faults(g_segment), "");
    std::shuffle(paths.begin(), paths.end(), random);
    std::set<uint32_t> found;
    for (const std::string& path : paths) found.insert(find(path));
    EXPECT_EQ(found.size(), kGroups);
    EXPECT_EQ(found.count(kNone), 0u);
    std::stable_sort(paths.begin(), paths.end(),
                     [](const std::string& a, const std::string& b) {
                       return std::count(a.begin(), a.end(), '/') >
                              std::count(b.begin(), b.end(), '/');
                     });
    for (const std::string& path : paths) ASSERT_EQ(remove(path), 0) << path;
    EXPECT_EQ(test::rows_in_use(g_segment), 1u);
    EXPECT_EQ(tree_faults(g_segment), "");
  }
  g_segment.detach();
}

// Several threads make, find and remove the same few groups.
TEST(TreeOfThreads, IsOneTree) {
  ASSERT_EQ(g_segment.create_private(test::kSmall), 0);
  std::atomic<int> running{3};
  std::atomic<int> made_in_all{0}, removed_in_all{0};
  std::vector<std::thread> threads;
  for (uint32_t i = 0; i < 3; ++i) {
    threads.emplace_back([&, i] {
      std::mt19937 random(i);
      for (int n = 0; n < 3000; ++n) {
        const std::string top = "/t" + std::to_string(test::pick(random, 3));
        const std::string path =
            test::pick(random, 2) == 0
                ? top
                : top + "/" + std::to_string(test::pick(random, 2));
        uint32_t group;
        bool made = false;
        if (test::pick(random, 2) == 0) {
          EXPECT_EQ(create_group(g_segment, path.c_str(), &group, &made), 0);
          made_in_all += made;
        } else if (remove(path) == 0) {
          ++removed_in_all;
        }
      }
      --running;
    });
  }
  while (running != 0) {
    for (const char* path : {"/t0", "/t1/1", "/t2/0"}) find(path);
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_GT(made_in_all, 0);
  EXPECT_GT(removed_in_all, 0);
  EXPECT_EQ(tree_faults(g_segment), "");
  for (const char* top : {"/t0", "/t1", "/t2"}) {
    for (const char* name : {"/0", "/1", ""}) {
      const std::string path = std::string(top) + name;
      if (find(path) == kNone) continue;
      EXPECT_EQ(remove(path), 0) << path;
    }
  }
  release_groups(g_segment);
  EXPECT_EQ(test::rows_in_use(g_segment), 1u);
  g_segment.detach();
}

}  // namespace
}  // namespace umemcg
