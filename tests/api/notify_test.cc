// Being told what happens: events, thresholds, pressure; and peaks of one's
// own. In a domain (umemcg run) and without.

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>

#include <fstream>
#include <thread>
#include <vector>

#include "tests/api/child.h"

namespace api_test {
namespace {

class Notify : public InGroups {};

// What a descriptor tells within ten seconds; 0: nothing.
uint64_t told(int fd, int timeout_ms = 10'000) {
  pollfd waited = {fd, POLLIN, 0};
  uint64_t count = 0;
  if (poll(&waited, 1, timeout_ms) != 1) return 0;
  return read(fd, &count, sizeof(count)) == sizeof(count) ? count : 0;
}

// The threads of this process that are called "umemcg", by their ids.
std::vector<int> workers() {
  std::vector<int> found;
  DIR* tasks = opendir("/proc/self/task");
  while (const dirent* task = readdir(tasks)) {
    std::ifstream file(std::string("/proc/self/task/") + task->d_name +
                       "/comm");
    std::string name;
    if (std::getline(file, name) && name == "umemcg") {
      found.push_back(std::atoi(task->d_name));
    }
  }
  closedir(tasks);
  return found;
}

bool wait_for_workers(size_t count) {
  for (int i = 0; i < 1000 && workers().size() != count; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return workers().size() == count;
}

// A listener for one test.
class Listening {
 public:
  explicit Listening(int fd) : fd_(fd) {
    EXPECT_GE(fd, 0) << std::strerror(errno);
  }
  ~Listening() {
    umemcg_unlisten(fd_);
    close(fd_);
  }
  Listening(const Listening&) = delete;
  Listening& operator=(const Listening&) = delete;
  operator int() const { return fd_; }

 private:
  int fd_;
};

// 2 MiB more are charged to the group, by a child where there is a domain.
void charge_2_mib(umemcg_group* group) {
  EXPECT_EQ(umemcg_charge(group, UMEMCG_MMAP, 2 * kMiB, 0), 0);
}

TEST_F(Notify, EventsAreWaitedFor) {
  Opened group("/notify/events");
  ASSERT_EQ(umemcg_set(group, "memory.max", "1M"), 0);
  uint64_t seen = 0;
  EXPECT_EQ(umemcg_events_wait(group, &seen, -1), 0);
  EXPECT_EQ(error_of([&] { umemcg_events_wait(group, &seen, 0); }), ETIMEDOUT);
  std::thread charger([&] {
    umemcg_thread_flags(UMEMCG_NORETRY);
    EXPECT_EQ(umemcg_charge(group, UMEMCG_MMAP, 2 * kMiB, 0), -1);
  });
  EXPECT_EQ(umemcg_events_wait(group, &seen, 10'000), 0);
  EXPECT_GE(value_of(group, "memory.events", "max"), 1);
  charger.join();
  EXPECT_EQ(error_of([&] { umemcg_events_wait(group, nullptr, 0); }), EINVAL);
  ASSERT_EQ(umemcg_group_remove("/notify/events"), 0);
  EXPECT_EQ(error_of([&] { umemcg_events_wait(group, &seen, -1); }), ENODEV);
}

TEST_F(Notify, AThresholdIsCrossedInBothDirections) {
  Opened group("/notify/threshold");
  const Listening at(umemcg_threshold_fd(group, kMiB));
  const Listening far(umemcg_threshold_fd(group, 64 * kMiB));
  charge_2_mib(group);
  EXPECT_EQ(told(at), 1u);
  umemcg_uncharge(group, UMEMCG_MMAP, 2 * kMiB);
  EXPECT_EQ(told(at), 1u);
  EXPECT_EQ(told(far, 0), 0u);
}

TEST_F(Notify, HeapMemoryCrossesAThreshold) {
  Opened group("/notify/heap");
  const Listening at(umemcg_threshold_fd(group, kMiB));
  void* block = touched(umemcg_malloc(group, 4 * kMiB), 4 * kMiB);
  EXPECT_EQ(told(at), 1u);
  umemcg_free(block);
}

// One process listens, another one charges.
TEST_F(Notify, OfAnotherProcess) {
  if (!in_domain()) GTEST_SKIP() << "there is no other process";
  Opened group("/notify/domain");
  uint64_t seen = 0;
  ASSERT_EQ(umemcg_events_wait(group, &seen, -1), 0);
  const Listening at(umemcg_threshold_fd(group, kMiB));
  ASSERT_EQ(umemcg_set(group, "memory.max", "8M"), 0);
  EXPECT_EQ(in_child([&] {
              umemcg_thread_flags(UMEMCG_NORETRY);
              if (umemcg_charge(group, UMEMCG_MMAP, 2 * kMiB, 0) != 0) return 1;
              return umemcg_charge(group, UMEMCG_MMAP, 9 * kMiB, 0) == 0 ? 2
                                                                         : 0;
            }),
            0);
  EXPECT_EQ(told(at), 1u);
  EXPECT_EQ(umemcg_events_wait(group, &seen, 10'000), 0);
}

TEST_F(Notify, PressureIsToldOnceAWindow) {
  Opened above("/notify/pressure"), below("/notify/pressure/below");
  const Listening low(
      umemcg_pressure_fd(below, UMEMCG_PRESSURE_LOW, UMEMCG_PRESSURE_LOCAL));
  const Listening same(
      umemcg_pressure_fd(below, UMEMCG_PRESSURE_LOW, UMEMCG_PRESSURE_DEFAULT));
  const Listening all(umemcg_pressure_fd(above, UMEMCG_PRESSURE_LOW,
                                         UMEMCG_PRESSURE_HIERARCHY));
  const Listening others(
      umemcg_pressure_fd(above, UMEMCG_PRESSURE_LOW, UMEMCG_PRESSURE_DEFAULT));
  ASSERT_EQ(umemcg_set(below, "memory.max", "8M"), 0);
  ASSERT_EQ(umemcg_charge(below, UMEMCG_MMAP, 7 * kMiB, 0), 0);
  EXPECT_EQ(umemcg_charge(below, UMEMCG_MMAP, 2 * kMiB, 0), -1);
  const uint64_t windows = told(low);
  EXPECT_GE(windows, 1u);
  EXPECT_EQ(told(same), windows);
  EXPECT_EQ(told(all), windows);
  EXPECT_EQ(told(others, 50), 0u);
}

TEST_F(Notify, WhatCannotBeListenedTo) {
  Opened group("/notify/errors");
  for (int wrong : {-1, 3}) {
    EXPECT_EQ(error_of([&] { umemcg_pressure_fd(group, wrong, 0); }), EINVAL);
    EXPECT_EQ(error_of([&] { umemcg_pressure_fd(group, 0, wrong); }), EINVAL);
  }
  EXPECT_EQ(error_of([&] { umemcg_psi_fd(group, 0, 0, 1'000'000); }), EINVAL);
  EXPECT_EQ(error_of([&] { umemcg_psi_fd(group, 0, 1000, 1000); }), EINVAL);
  EXPECT_EQ(error_of([&] { umemcg_threshold_fd(as_handle(1), kMiB); }), EBADF);
  EXPECT_EQ(error_of([] { umemcg_unlisten(0); }), EBADF);
  EXPECT_EQ(error_of([] { umemcg_unlisten(-1); }), EBADF);
}

TEST_F(Notify, AGroupThatIsRemovedIsTold) {
  Opened group("/notify/removed");
  const Listening at(umemcg_threshold_fd(group, kMiB));
  ASSERT_EQ(umemcg_group_remove("/notify/removed"), 0);
  EXPECT_EQ(told(at), 1u);
  EXPECT_EQ(error_of([&] { umemcg_threshold_fd(group, kMiB); }), ENODEV);
}

TEST_F(Notify, AThreadIsThereWhileItIsNeeded) {
  EXPECT_TRUE(wait_for_workers(0));
  Opened group("/notify/thread");
  {
    const Listening at(umemcg_threshold_fd(group, kMiB));
    const Listening too(umemcg_psi_fd(nullptr, 1, 100'000, 1'000'000));
    EXPECT_TRUE(wait_for_workers(1));
  }
  EXPECT_TRUE(wait_for_workers(0));
  const Listening again(umemcg_threshold_fd(group, kMiB));
  EXPECT_TRUE(wait_for_workers(1));
  charge_2_mib(group);
  EXPECT_EQ(told(again), 1u);
}

TEST_F(Notify, TheThreadTakesNoSignals) {
  Opened group("/notify/signals");
  const Listening at(umemcg_threshold_fd(group, kMiB));
  ASSERT_TRUE(wait_for_workers(1));
  std::ifstream status("/proc/self/task/" + std::to_string(workers()[0]) +
                       "/status");
  uint64_t blocked = 0;
  for (std::string word; status >> word;) {
    if (word == "SigBlk:") status >> std::hex >> blocked >> std::dec;
  }
  for (int signal = 1; signal < SIGRTMIN - 2; ++signal) {
    if (signal == SIGKILL || signal == SIGSTOP) continue;
    EXPECT_NE(blocked & uint64_t{1} << (signal - 1), 0u) << signal;
  }
}

// How often the thread has gone to sleep.
int64_t sleeps_of(int thread) {
  std::ifstream status("/proc/self/task/" + std::to_string(thread) + "/status");
  int64_t count = -1;
  for (std::string word; status >> word;) {
    if (word == "voluntary_ctxt_switches:") status >> count;
  }
  return count;
}

// However much there is to tell: to rest, and then for news.
TEST_F(Notify, TheThreadWakesOnceAMillisecond) {
  using Clock = std::chrono::steady_clock;
  Opened group("/notify/rest");
  const Listening at(umemcg_threshold_fd(group, kMiB));
  ASSERT_TRUE(wait_for_workers(1));
  const int worker = workers()[0];
  const int64_t before = sleeps_of(worker);
  const auto start = Clock::now();
  uint64_t crossings = 0;
  while (Clock::now() - start < std::chrono::milliseconds(100)) {
    for (int i = 0; i < 20; ++i, crossings += 2) {
      charge_2_mib(group);
      umemcg_uncharge(group, UMEMCG_MMAP, 2 * kMiB);
    }
  }
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(
      Clock::now() - start);
  EXPECT_GT(crossings, 4u * static_cast<uint64_t>(took.count()));
  EXPECT_LE(sleeps_of(worker) - before, 2 * took.count() + 10);
}

TEST_F(Notify, AChildListensForItself) {
  Opened group("/notify/fork");
  const Listening at(umemcg_threshold_fd(group, kMiB));
  EXPECT_EQ(in_child([&] {
              if (path(nullptr).empty()) return 1;
              if (!workers().empty()) return 2;
              if (umemcg_unlisten(at) == 0) return 3;
              const int fd = umemcg_threshold_fd(group, kMiB);
              if (fd < 0) return 4;
              if (umemcg_charge(group, UMEMCG_MMAP, 2 * kMiB, 0) != 0) return 5;
              return told(fd) == 1 ? 0 : 6;
            }),
            0);
}

// A process may end, fork or exec in the middle of a look.
TEST_F(Notify, EndsAnywhere) {
  Opened group("/notify/end");
  for (int i = 0; i < 30; ++i) {
    EXPECT_EQ(in_child([&, i] {
                for (int n = 0; n < 4; ++n) {
                  if (umemcg_threshold_fd(group, kMiB) < 0) return 1;
                }
                charge_2_mib(group);
                usleep(static_cast<useconds_t>(i * 100));
                if (i % 3 == 0 && in_child([] { return 0; }) != 0) return 2;
                std::exit(0);
              }),
              0);
  }
}

// A daemon closes all that it finds.
TEST_F(Notify, EverythingIsClosed) {
  EXPECT_EQ(in_child([] {
              Opened group("/notify/closed");
              if (umemcg_threshold_fd(group, kMiB) < 0) return 1;
              if (syscall(SYS_close_range, 3, ~0u, 0) != 0) return 0;
              char name[] = "/tmp/umemcg-notify-XXXXXX";
              const int file = mkstemp(name);
              unlink(name);
              for (int fd = 3; fd < 1000; ++fd) {
                if (fd != file && dup2(file, fd) != fd) return 2;
              }
              charge_2_mib(group);
              usleep(20'000);
              umemcg_uncharge(group, UMEMCG_MMAP, 2 * kMiB);
              usleep(20'000);
              return lseek(file, 0, SEEK_END) == 0 ? 0 : 3;
            }),
            0);
}

TEST_F(Notify, APeakOfOnesOwn) {
  Opened group("/notify/peak");
  const int one = umemcg_peak_open(group), other = umemcg_peak_open(group);
  ASSERT_GE(one, 0);
  charge_2_mib(group);
  umemcg_uncharge(group, UMEMCG_MMAP, 2 * kMiB);
  EXPECT_EQ(umemcg_peak_read(one), number(group, "memory.peak"));
  EXPECT_GE(umemcg_peak_read(one), static_cast<int64_t>(2 * kMiB));
  EXPECT_EQ(umemcg_peak_reset(one), 0);
  EXPECT_EQ(umemcg_peak_read(one), number(group, "memory.current"));
  EXPECT_GE(umemcg_peak_read(other), static_cast<int64_t>(2 * kMiB));
  EXPECT_EQ(umemcg_peak_close(one), 0);
  EXPECT_EQ(error_of([&] { umemcg_peak_close(one); }), EBADF);
  EXPECT_EQ(error_of([&] { umemcg_peak_read(one); }), EBADF);
  EXPECT_EQ(error_of([&] { umemcg_peak_reset(one); }), EBADF);
  if (in_domain()) {  // its own are others'
    EXPECT_EQ(in_child([&] {
                return error_of([&] { umemcg_peak_read(other); }) == EBADF ? 0
                                                                           : 1;
              }),
              0);
  }
  EXPECT_EQ(umemcg_peak_close(other), 0);
}

// Exactly what was charged, less exactly what was uncharged, is what is there,
// after threads and processes have ended.
TEST_F(Notify, ChargedAndUnchargedAddUp) {
  Opened group("/notify/sums");
  auto difference = [&] {
    return value_of(group, "memory.stat", "charged_bytes") -
           value_of(group, "memory.stat", "uncharged_bytes");
  };
  for (int i = 0; i < 4; ++i) {
    std::thread([&] {
      void* block = touched(umemcg_malloc(group, kMiB), kMiB);
      umemcg_free(block);
      charge_2_mib(group);
    }).join();
  }
  EXPECT_EQ(difference(), number(group, "memory.current"));
  EXPECT_GE(value_of(group, "memory.stat", "charged_bytes"),
            static_cast<int64_t>(8 * kMiB));
  EXPECT_EQ(in_child([&] {
              charge_2_mib(group);
              touched(umemcg_malloc(group, kMiB), kMiB);
              return 0;
            }),
            0);
  EXPECT_TRUE(wait_at_most(group, static_cast<int64_t>(16 * kMiB)));
  EXPECT_EQ(difference(), number(group, "memory.current"));
}

}  // namespace
}  // namespace api_test
