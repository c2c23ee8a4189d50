// UMEMCG_WORKER=1: the thread is there from the beginning, and in children.

#include <dirent.h>

#include <fstream>
#include <vector>

#include "tests/api/child.h"

namespace api_test {
namespace {

int workers() {
  int found = 0;
  DIR* tasks = opendir("/proc/self/task");
  while (const dirent* task = readdir(tasks)) {
    std::ifstream file(std::string("/proc/self/task/") + task->d_name +
                       "/comm");
    std::string name;
    found += std::getline(file, name) && name == "umemcg";
  }
  closedir(tasks);
  return found;
}

bool one_worker() {
  for (int i = 0; i < 1000 && workers() != 1; ++i) usleep(1000);
  return workers() == 1;
}

TEST(Worker, IsThereAndStays) {
  EXPECT_TRUE(one_worker());
  const int fd = umemcg_threshold_fd(nullptr, 1024 * kMiB);
  EXPECT_GE(fd, 0);
  EXPECT_EQ(workers(), 1);
  EXPECT_EQ(umemcg_unlisten(fd), 0);
  close(fd);
  usleep(300'000);  // longer than it takes to end
  EXPECT_EQ(workers(), 1);
}

TEST(Worker, IsInAChildToo) {
  EXPECT_TRUE(one_worker());
  EXPECT_EQ(in_child([] { return one_worker() ? 0 : 1; }), 0);
}

// What it is for: memory that nobody asks for goes back.
TEST(Worker, GivesBackWhatIsIdle) {
  std::vector<void*> blocks;
  for (int i = 0; i < 16; ++i) {
    blocks.push_back(touched(std::malloc(kMiB), kMiB));
  }
  for (void* block : blocks) std::free(block);
  EXPECT_GE(value_of(nullptr, "memory.stat", "cached"),
            static_cast<int64_t>(8 * kMiB));
  for (int i = 0; i < 500; ++i) {
    if (value_of(nullptr, "memory.stat", "cached") <
        static_cast<int64_t>(8 * kMiB)) {
      return;
    }
    usleep(10'000);
  }
  ADD_FAILURE() << value_of(nullptr, "memory.stat", "cached") << " are cached";
}

}  // namespace
}  // namespace api_test
