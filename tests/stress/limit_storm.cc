// A program at its limit: threads allocate blocks of 16 bytes to 4 MiB, hand
// them to each other and free them, all at once and for longer than the limit
// has room. Run with libumemcg.so preloaded and UMEMCG_MAX set; see
// CMakeLists.txt. What it checks:
//
//   a refused malloc says ENOMEM, and no block overlaps another
//   memory.peak is within max plus the reserve (nothing is charged that the
//     peak does not see, so this holds for every moment)
//   whenever all threads stand still, and at the end, what memory.stat says is
//     handed out, cached and charged ahead adds up to memory.current
//   when the threads have ended and malloc_trim was called, nearly nothing is
//     left
//
// UMEMCG_STRESS_SECONDS: how long it runs (10).

#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>

#include <atomic>

namespace {

constexpr int kThreads = 8;
constexpr int kMailboxes = 512;
constexpr long kLeast = 16;
constexpr long kMost = 4L << 20;
constexpr long kNearlyNothing = 2L << 20;
// The default reserve at most; UMEMCG_RESERVE=0 is none.
constexpr long kReserve = 256L << 10;

// What stands at both ends of a block, once in the smallest.
struct Mark {
  size_t size;
  uintptr_t check;
};
static_assert(sizeof(Mark) == kLeast);

std::atomic<void*> mailboxes[kMailboxes];
std::atomic<bool> stop{false};
std::atomic<bool> pause_all{false};
std::atomic<int> resting{0};
std::atomic<long> allocated{0};
std::atomic<long> refused{0};
std::atomic<int> failures{0};

using GetFunction = ssize_t (*)(void*, const char*, char*, size_t);
GetFunction get = nullptr;

void fail(const char* what, long value, long wanted) {
  if (failures.fetch_add(1) < 20) {
    fprintf(stderr, "FAIL: %s: %ld, wanted %ld\n", what, value, wanted);
  }
}

// --- what umemcg says ---

long control(const char* file) {
  char text[64];
  if (get(nullptr, file, text, sizeof(text)) < 0) return -1;
  return strcmp(text, "max\n") == 0 ? -1 : atol(text);
}

long stat_value(const char* stat, const char* key) {
  const size_t length = strlen(key);
  for (const char* line = stat; line != nullptr; line = strchr(line, '\n')) {
    if (*line == '\n') ++line;
    if (strncmp(line, key, length) == 0 && line[length] == ' ') {
      return atol(line + length + 1);
    }
  }
  fail(key, -1, 0);
  return 0;
}

// Handed out, cached, and charged ahead: all that memory.current is made of.
// REQUIRES: nobody allocates.
void check_sum() {
  char stat[4096];
  get(nullptr, "memory.stat", stat, sizeof(stat));
  const long sum = stat_value(stat, "active_anon") +
                   stat_value(stat, "inactive_anon") +
                   stat_value(stat, "stock_bytes");
  const long current = control("memory.current");
  if (sum != current) fail("the sum of memory.stat", sum, current);
}

void check_peak() {
  const char* reserve = getenv("UMEMCG_RESERVE");
  const long max = control("memory.max");
  const long most = max + (reserve != nullptr ? atol(reserve) : kReserve);
  const long peak = control("memory.peak");
  if (max < 0) fail("memory.max", max, 0);
  if (peak > most) fail("memory.peak", peak, most);
}

// --- blocks ---

uintptr_t check_of(const void* block, size_t size) {
  return reinterpret_cast<uintptr_t>(block) * 0x9e3779b97f4a7c15u ^ size;
}

void mark(void* block, size_t size) {
  Mark ends = {size, check_of(block, size)};
  memcpy(block, &ends, sizeof(ends));
  char* last = static_cast<char*>(block) + size - sizeof(ends);
  // What lies between is touched, so that it is real.
  for (char* page = static_cast<char*>(block) + 4096; page < last;
       page += 4096) {
    *page = 1;
  }
  memcpy(last, &ends, sizeof(ends));
}

void check_and_free(void* block) {
  if (block == nullptr) return;
  Mark first, last;
  memcpy(&first, block, sizeof(first));
  if (first.check != check_of(block, first.size)) {
    fail("the beginning of a block", 0, 1);
    return;
  }
  memcpy(&last, static_cast<char*>(block) + first.size - sizeof(last),
         sizeof(last));
  if (memcmp(&first, &last, sizeof(first)) != 0) {
    fail("the end of a block", 0, 1);
  }
  free(block);
}

// As many small ones as large ones, by their order of magnitude.
size_t random_size(unsigned* seed) {
  long below = kLeast << (rand_r(seed) % 19);
  long size = kLeast + rand_r(seed) % below;
  if (size < 2 * kLeast) size = kLeast;  // two ends, or one
  return static_cast<size_t>(size < kMost ? size : kMost);
}

void work_once(unsigned* seed) {
  const size_t size = random_size(seed);
  errno = 22;
  void* block = malloc(size);
  if (block == nullptr) {
    if (errno != ENOMEM) fail("errno", errno, ENOMEM);
    refused.fetch_add(1);
  } else {
    allocated.fetch_add(1);
    mark(block, size);
  }
  // Most likely it is another thread that frees it.
  const int box = rand_r(seed) % kMailboxes;
  check_and_free(mailboxes[box].exchange(block));
}

void* work(void* argument) {
  auto seed = static_cast<unsigned>(reinterpret_cast<uintptr_t>(argument));
  while (!stop.load()) {
    if (pause_all.load()) {
      resting.fetch_add(1);
      while (pause_all.load()) sched_yield();
      resting.fetch_sub(1);
    }
    work_once(&seed);
  }
  return nullptr;
}

// --- the course of it ---

void sleep_ms(long ms) {
  timespec time = {ms / 1000, ms % 1000 * 1000000};
  nanosleep(&time, nullptr);
}

double seconds_now() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) +
         static_cast<double>(now.tv_nsec) / 1e9;
}

void stand_still_and_check() {
  pause_all.store(true);
  while (resting.load() != kThreads) sched_yield();
  check_sum();
  check_peak();
  pause_all.store(false);
  while (resting.load() != 0) sched_yield();
}

bool start_threads(pthread_t* threads) {
  for (uintptr_t i = 0; i < kThreads; ++i) {
    if (pthread_create(&threads[i], nullptr, work,
                       reinterpret_cast<void*>(i + 1)) != 0) {
      return false;
    }
  }
  return true;
}

void check_the_end() {
  for (auto& box : mailboxes) check_and_free(box.exchange(nullptr));
  check_sum();
  malloc_trim(0);
  const long current = control("memory.current");
  if (current > kNearlyNothing) {
    fail("memory.current at the end", current, kNearlyNothing);
  }
  check_sum();
  check_peak();
  if (refused.load() == 0) fail("refused", 0, 1);
}

}  // namespace

int main() {
  get = reinterpret_cast<GetFunction>(dlsym(RTLD_DEFAULT, "umemcg_get"));
  if (get == nullptr || control("memory.max") < 0) {
    fprintf(stderr, "limit_storm: preload libumemcg.so and set UMEMCG_MAX\n");
    return 2;
  }
  const char* time = getenv("UMEMCG_STRESS_SECONDS");
  const double end = seconds_now() + (time != nullptr ? atof(time) : 10);
  pthread_t threads[kThreads];
  if (!start_threads(threads)) {
    fprintf(stderr, "limit_storm: no threads\n");
    return 2;
  }
  while (seconds_now() < end && failures.load() == 0) {
    sleep_ms(100);
    stand_still_and_check();
  }
  stop.store(true);
  for (pthread_t thread : threads) pthread_join(thread, nullptr);
  check_the_end();
  printf("allocated %ld, refused %ld, peak %ld, left %ld\n", allocated.load(),
         refused.load(), control("memory.peak"), control("memory.current"));
  return failures.load() == 0 ? 0 : 1;
}
