// Pages that other processes of the domain have free: they are asked for them.

#include <umemcg/umemcg.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <vector>

#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>

#include "tests/api/child.h"
#include "tests/api/support.h"

namespace {

using api_test::Clock;
using api_test::kMiB;
using api_test::number;
using api_test::Opened;
using api_test::seconds_since;
using api_test::touched;
using api_test::value_of;

// What parent and child tell each other.
struct Board {
  std::atomic<bool> freed;
  std::atomic<bool> busy;
  std::atomic<bool> end;
};

// A process of the group with 20 MiB free; it allocates, or sleeps.
class Giver {
 public:
  Giver(const char* group, bool busy) {
    void* memory = mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    board_ = new (memory) Board{};
    board_->busy = busy;
    child_ = fork();
    if (child_ == 0) _exit(give(group));
    for (int i = 0; i < 5000 && !board_->freed; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    EXPECT_TRUE(board_->freed);
  }
  ~Giver() {
    if (!ended_) {
      kill(child_, SIGKILL);
      waitpid(child_, nullptr, 0);
    }
    munmap(board_, sizeof(Board));
  }
  Giver(const Giver&) = delete;
  Giver& operator=(const Giver&) = delete;

  void be_busy(bool on) { board_->busy = on; }
  void stop(int signal) const { kill(child_, signal); }
  // The signal that ended it; 0 if it has not been ended by one.
  int killed_by() {
    int status = 0;
    if (waitpid(child_, &status, WNOHANG) != child_) return 0;
    ended_ = true;
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  }

 private:
  int give(const char* path) {
    alarm(60);
    if (umemcg_thread_set(umemcg_group_open(path, 0), nullptr) != 0) return 1;
    constexpr size_t kBlock = 64 * 1024;
    std::vector<void*> blocks;
    for (size_t i = 0; i < 20 * kMiB / kBlock; ++i) {
      blocks.push_back(touched(malloc(kBlock), kBlock));
    }
    for (void* block : blocks) free(block);
    board_->freed = true;
    while (!board_->end) {
      if (board_->busy) {
        // Charged anew all the time, so that it comes by.
        umemcg_charge(nullptr, UMEMCG_MMAP, 40 * 4096, 0);
        umemcg_uncharge(nullptr, UMEMCG_MMAP, 40 * 4096);
        free(malloc(100));
      } else {
        usleep(1000);
      }
    }
    return 0;
  }

  Board* board_;
  pid_t child_;
  bool ended_ = false;
};

class Request : public api_test::InGroups {
 protected:
  void SetUp() override { ASSERT_TRUE(api_test::in_domain()); }
};

TEST_F(Request, AProcessThatRunsGivesWhatItHasFree) {
  Opened group("/giving");
  Giver giver("/giving", true);
  const int64_t before = number(group, "memory.current");
  ASSERT_GE(before, int64_t{18 * kMiB});
  const auto start = Clock::now();
  EXPECT_EQ(umemcg_set(group, "memory.reclaim", "12M"), 0);
  EXPECT_LE(seconds_since(start), 20.0);
  EXPECT_LE(number(group, "memory.current"), before - int64_t{11 * kMiB});
}

TEST_F(Request, WritingHighReachesIt) {
  Opened group("/high");
  Giver giver("/high", true);
  ASSERT_EQ(umemcg_set(group, "memory.high", "8M"), 0);
  EXPECT_LE(number(group, "memory.current"), int64_t{8 * kMiB});
}

TEST_F(Request, AChargeThatIsRefusedReachesIt) {
  Opened group("/refused");
  Giver giver("/refused", true);
  ASSERT_EQ(umemcg_set(group, "memory.max", "24M"), 0);
  // (A giver that did not get to run for a while has missed it.)
  int refused = -1;
  for (int i = 0; i < 200 && refused != 0; ++i) {
    refused = umemcg_charge(group, UMEMCG_MMAP, 16 * kMiB, 0);
    if (refused != 0) std::this_thread::sleep_for(std::chrono::milliseconds(9));
  }
  ASSERT_EQ(refused, 0);
  umemcg_uncharge(group, UMEMCG_MMAP, 16 * kMiB);
}

// One that sleeps is waited for once, ten milliseconds, and answers when it
// wakes.
TEST_F(Request, AProcessThatSleepsIsNotWaitedForAgain) {
  Opened group("/asleep");
  Giver giver("/asleep", false);
  const int64_t before = number(group, "memory.current");
  EXPECT_EQ(umemcg_set(group, "memory.reclaim", "12M"), -1);
  EXPECT_EQ(errno, EAGAIN);
  double shortest = 1e9;
  for (int i = 0; i < 5; ++i) {
    const auto start = Clock::now();
    umemcg_set(group, "memory.reclaim", "12M");
    shortest = std::min(shortest, seconds_since(start));
  }
  EXPECT_LE(shortest, 0.2);  // 17 rounds, waited for, take 0.26 s
  EXPECT_GE(number(group, "memory.current"), before - int64_t{kMiB});
  giver.be_busy(true);
  for (int i = 0; i < 60'000; ++i) {
    if (number(group, "memory.current") < before - int64_t{2 * kMiB}) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_LT(number(group, "memory.current"), before - int64_t{2 * kMiB});
}

TEST_F(Request, OneThatIsStoppedHoldsNobodyUp) {
  Opened group("/stopped");
  Giver giver("/stopped", true);
  giver.stop(SIGSTOP);
  const auto start = Clock::now();
  umemcg_set(group, "memory.reclaim", "12M");
  EXPECT_EQ(umemcg_set(group, "memory.max", "8M"), 0);
  EXPECT_LE(seconds_since(start), 20.0);
  EXPECT_EQ(number(group, "memory.max"), int64_t{8 * kMiB});
  giver.stop(SIGCONT);
}

// What cannot be had otherwise: the policy says that somebody dies for it.
TEST_F(Request, AMaxThatCannotBeReachedKillsWhereThatIsThePolicy) {
  Opened group("/killed");
  Giver giver("/killed", false);
  ASSERT_EQ(umemcg_set(group, "memory.oom.policy", "kill"), 0);
  const auto start = Clock::now();
  EXPECT_EQ(umemcg_set(group, "memory.max", "1M"), 0);
  EXPECT_LE(seconds_since(start), 30.0);
  EXPECT_EQ(giver.killed_by(), SIGKILL);
  EXPECT_LE(number(group, "memory.current"), int64_t{kMiB});
  EXPECT_EQ(value_of(group, "memory.events", "oom"), 1);
  EXPECT_EQ(value_of(group, "memory.events", "oom_kill"), 1);
}

TEST_F(Request, AWriterThatIsKilledLeavesNothingLocked) {
  Opened group("/writers");
  Giver giver("/writers", false);
  for (int i = 0; i < 20; ++i) {
    const pid_t writer = fork();
    if (writer == 0) {
      alarm(60);
      for (;;) {
        umemcg_set(group, "memory.high", "1M");
        umemcg_set(group, "memory.max", "40M");
        umemcg_set(group, "memory.reclaim", "1M");
      }
    }
    std::this_thread::sleep_for(std::chrono::microseconds(2000 + 700 * i));
    kill(writer, SIGKILL);
    waitpid(writer, nullptr, 0);
    const auto start = Clock::now();
    EXPECT_EQ(umemcg_set(group, "memory.max", "64M"), 0);
    EXPECT_EQ(umemcg_set(group, "memory.high", "max"), 0);
    EXPECT_LE(seconds_since(start), 20.0);
  }
}

// A process of the group with a shrinker that ends the first thread that calls
// it; nobody else of the process serves then, unless that is seen to.
class Leaver {
 public:
  Leaver(const char* group, bool busy) {
    void* memory = mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    board_ = new (memory) Board{};
    child_ = fork();
    if (child_ == 0) _exit(live(group, busy));
    while (!board_->ready) usleep(1000);
  }
  ~Leaver() {
    kill(child_, SIGKILL);
    waitpid(child_, nullptr, 0);
    munmap(board_, sizeof(Board));
  }
  Leaver(const Leaver&) = delete;
  Leaver& operator=(const Leaver&) = delete;

  // Asks until it was called so often.
  bool is_called(umemcg_group* group, int times) {
    for (int i = 0; i < 200 && board_->calls < times; ++i) {
      umemcg_set(group, "memory.reclaim", "1M");
      usleep(5000);
    }
    return board_->calls >= times;
  }

 private:
  struct Board {
    std::atomic<bool> ready;
    std::atomic<int> calls;
  };

  static size_t count(umemcg_group*, void*) { return kMiB; }
  static size_t scan(umemcg_group*, size_t, void* board) {
    // (Not the test's own, which starts the others and may come by as well.)
    if (gettid() == getpid()) return UMEMCG_SHRINK_STOP;
    if (static_cast<Board*>(board)->calls++ == 0) pthread_exit(nullptr);
    return UMEMCG_SHRINK_STOP;
  }
  // Charged anew all the time, so that it comes by.
  static void* allocate(void*) {
    for (;;) {
      umemcg_charge(nullptr, UMEMCG_MMAP, 40 * 4096, 0);
      umemcg_uncharge(nullptr, UMEMCG_MMAP, 40 * 4096);
      free(malloc(100));
      usleep(100);
    }
  }

  int live(const char* path, bool busy) {
    alarm(60);
    if (umemcg_thread_set(umemcg_group_open(path, 0), nullptr) != 0) return 1;
    touched(malloc(4 * kMiB), 4 * kMiB);
    umemcg_shrinker shrinker{};
    shrinker.size = sizeof(shrinker);
    shrinker.count = count;
    shrinker.scan = scan;
    shrinker.arg = board_;
    shrinker.deadline_ms = 60'000;
    if (umemcg_shrinker_register(nullptr, &shrinker) <= 0) return 1;
    board_->ready = true;
    pthread_t thread;
    for (int i = 0; busy && i < 2; ++i) {
      pthread_create(&thread, nullptr, allocate, nullptr);
    }
    for (;;) pause();
  }

  Board* board_;
  pid_t child_;
};

TEST_F(Request, AThreadThatEndsWhileItServesLeavesItToOthers) {
  Opened group("/leaving");
  Leaver leaver("/leaving", true);
  EXPECT_TRUE(leaver.is_called(group, 3));
}

// Groups that it has nothing in are not its business.
TEST_F(Request, OthersAreLeftAlone) {
  Opened group("/mine");
  Opened other("/other");
  Giver giver("/other", true);
  const int64_t before = number(other, "memory.current");
  EXPECT_EQ(umemcg_set(group, "memory.reclaim", "12M"), -1);
  EXPECT_GE(number(other, "memory.current"), before - int64_t{kMiB});
}

TEST(RequestWorker, AWorkerThatEndsIsReplaced) {
  Opened group("/leaving");
  Leaver leaver("/leaving", false);
  EXPECT_TRUE(leaver.is_called(group, 3));
}

// With UMEMCG_WORKER=1 one that sleeps gives, too.
TEST(RequestWorker, AProcessThatSleepsGives) {
  Opened group("/worker");
  Giver giver("/worker", false);
  const int64_t before = number(group, "memory.current");
  EXPECT_EQ(umemcg_set(group, "memory.reclaim", "12M"), 0);
  EXPECT_LE(number(group, "memory.current"), before - int64_t{11 * kMiB});
}

}  // namespace
