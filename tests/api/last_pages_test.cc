// Threads and processes race for the last pages of a group, one page a charge:
// as many charges succeed as there are pages, every time. Alone (each process
// has a tree of its own, and only its threads race) and in a domain (umemcg
// run).

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <memory>
#include <new>
#include <random>
#include <vector>

#include "tests/api/child.h"

namespace api_test {
namespace {

constexpr int64_t kPage = 4096;
constexpr int kThreads = 3;
constexpr auto kLongest = std::chrono::seconds(20);

struct Race {
  explicit Race(unsigned seed) {
    std::mt19937 random(seed);
    constexpr std::array<int64_t, 4> kMost = {2, 10, 100, 1000};
    pages = 1 + static_cast<int64_t>(random()) % kMost[random() % 4];
    processes = 1 + static_cast<int>(random() % 3);
    racers = kThreads * (in_domain() ? processes : 1);
    // Until all are refused; or hardly enough for all pages: then one that is
    // refused for no reason leaves a page that nobody asks for again.
    attempts = random() % 2 == 0 ? pages + 1 : pages / racers + 1;
    kind = static_cast<int>(random() % 5);
    by_kind = random() % 2 == 0 && (kind == UMEMCG_KMEM || kind == UMEMCG_SOCK);
    flags = random() % 4 == 0 ? int{UMEMCG_NORETRY} : 0;
  }

  const char* limit() const {
    if (!by_kind) return "memory.max";
    return kind == UMEMCG_KMEM ? "memory.kmem.limit_in_bytes"
                               : "memory.kmem.tcp.limit_in_bytes";
  }

  int64_t pages;
  int processes;
  int racers;
  int64_t attempts;
  int kind;
  bool by_kind;
  int flags;
};

// What the processes share.
struct Meeting {
  std::atomic<int> ready{0};
  std::atomic<int> done{0};
  std::atomic<bool> counted{false};
  std::array<std::atomic<int64_t>, 3> charged{};
};

struct Unmap {
  void operator()(Meeting* meeting) const { munmap(meeting, sizeof(Meeting)); }
};

std::unique_ptr<Meeting, Unmap> shared_meeting() {
  void* memory = mmap(nullptr, sizeof(Meeting), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  EXPECT_NE(memory, MAP_FAILED);
  return std::unique_ptr<Meeting, Unmap>(new (memory) Meeting);
}

// False if that takes too long: another process has died.
template <typename Condition>
bool wait_until(Condition condition) {
  const auto end = std::chrono::steady_clock::now() + kLongest;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::yield();
  }
  return true;
}

// How many charges of one thread succeed.
int64_t charge_pages(const Race& race, umemcg_group* group) {
  int64_t charged = 0;
  for (int64_t i = 0; i < race.attempts; ++i) {
    if (umemcg_charge(group, race.kind, kPage, race.flags) == 0) {
      ++charged;
    } else if (race.attempts > race.pages) {
      break;
    }
  }
  return charged;
}

// One process's part. What it has charged is taken back when all are counted.
bool take_part(const Race& race, umemcg_group* group, Meeting& meeting,
               int process) {
  const int all = in_domain() ? race.racers : kThreads;
  std::atomic<int>& ready = meeting.ready;
  std::atomic<int64_t>& charged = meeting.charged[static_cast<size_t>(process)];
  std::atomic<bool> good{true};
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      ++ready;
      if (!wait_until([&] { return ready >= all; })) good = false;
      charged += charge_pages(race, group);
    });
  }
  for (std::thread& thread : threads) thread.join();
  ++meeting.done;
  if (!wait_until([&] { return meeting.counted.load(); })) good = false;
  for (int64_t i = charged; i > 0; --i) {
    umemcg_uncharge(group, race.kind, kPage);
  }
  return good;
}

// Races in which several processes take part, in a domain.
void run_in_processes(const Race& race, umemcg_group* group) {
  auto meeting = shared_meeting();
  std::vector<pid_t> children;
  for (int process = 0; process < race.processes; ++process) {
    const pid_t child = fork();
    if (child == 0) _exit(take_part(race, group, *meeting, process) ? 0 : 1);
    children.push_back(child);
  }
  EXPECT_TRUE(wait_until([&] { return meeting->done >= race.processes; }));
  int64_t sum = 0;
  for (const auto& charged : meeting->charged) sum += charged;
  EXPECT_EQ(sum, race.pages);
  EXPECT_LE(number(group, "memory.current"),
            race.by_kind ? INT64_MAX : race.pages * kPage);
  meeting->counted = true;
  for (const pid_t child : children) {
    int status = -1;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
  }
}

// The same among the threads of one process.
bool run_in_threads(const Race& race, umemcg_group* group) {
  Meeting meeting;
  meeting.counted = true;
  return take_part(race, group, meeting, 0) && meeting.charged[0] == race.pages;
}

void run(const Race& race, const char* name) {
  Opened group(name);
  const std::string limit = std::to_string(race.pages * kPage);
  ASSERT_EQ(umemcg_set(group, race.limit(), limit.c_str()), 0);
  if (in_domain()) {
    run_in_processes(race, group);
  } else if (race.processes == 1) {
    EXPECT_TRUE(run_in_threads(race, group));
  } else {
    EXPECT_EQ(in_child([&] { return run_in_threads(race, group) ? 0 : 1; }), 0);
    EXPECT_TRUE(run_in_threads(race, group));
  }
  // (Alone, this thread may keep some that it took back.)
  EXPECT_TRUE(wait_at_most(group, in_domain() ? 0 : 64 * kPage))
      << number(group, "memory.current");
  EXPECT_EQ(umemcg_group_remove(name), 0);
}

TEST(LastPages, AsManyChargesSucceedAsThereAre) {
  const char* stress = std::getenv("UMEMCG_STRESS_SECONDS");
  const auto end =
      std::chrono::steady_clock::now() +
      std::chrono::seconds(stress != nullptr ? std::atoi(stress) : 0);
  for (unsigned seed = 1; seed <= 200 || std::chrono::steady_clock::now() < end;
       ++seed) {
    const Race race(seed);
    SCOPED_TRACE(testing::Message()
                 << "seed " << seed << ", " << race.pages << " pages, "
                 << race.processes << " processes, " << race.attempts
                 << " attempts, kind " << race.kind << ", " << race.limit());
    run(race, "/last/pages");
    if (testing::Test::HasFailure()) break;
  }
}

}  // namespace
}  // namespace api_test
