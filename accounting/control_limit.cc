// memory.high, memory.max and memory.reclaim: what is written is reclaimed; and
// the limits that are only kept.
//
// A write never hangs: each round of reclaim is bounded, and so are rounds. It
// is not interrupted by a signal, whose handler runs meanwhile; the limit is
// set first, and nothing is locked, so a writer may be killed anywhere.

#include <cerrno>
#include <cstring>

#include "accounting/control_rows.h"
#include "accounting/event.h"
#include "accounting/lease.h"
#include "accounting/mem_cgroup.h"
#include "accounting/process.h"
#include "accounting/reclaim_request.h"
#include "accounting/size.h"
#include "accounting/stock_word.h"
#include "accounting/tree_change.h"
#include "accounting/victim.h"
#include "base/sys.h"

namespace umemcg::control {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

// MAX_RECLAIM_RETRIES.
constexpr int kRetries = 16;
constexpr uint64_t kPauseNs = 5'000'000;
// Rounds in which something was reclaimed end too: others may take it.
constexpr int kMostRounds = 1024;
// As for any who is out of memory (reclaim/oom.cc).
constexpr uint32_t kLeaseWaitMs = 500;
constexpr uint32_t kMostLeaseMs = 2000;
// How long a writer waits, in all, for those who are killed.
constexpr uint64_t kMostKillingNs = 10'000'000'000;
constexpr uint64_t kLookNs = 2'000'000;
constexpr uint32_t kMostSwappiness = 200;

// What is charged ahead in the subtree goes back.
void drain(Segment& segment, uint32_t group) {
  // A caller that is not in the segment has no mark of its own: the lock's
  // tells of it when it is killed here.
  TreeChange change(segment);
  if (change.held()) drain_all_stock(segment, group);
}

// A round of reclaim, and what came of it. Processes that have answered none in
// time may be about to: a fruitless round in a domain is followed by a pause.
int64_t reclaim_round(Segment& segment, uint32_t group, int64_t pages,
                      bool proactive) {
  const PageCounter& counter = segment.group(group)->memory;
  const int64_t before = counter.usage();
  const int64_t got = g_reclaim_hook(segment, group, pages, proactive);
  if (got > 0) return got;
  if (!segment.is_private()) sys::sleep_ns(kPauseNs);
  const int64_t fell = before - counter.usage();
  return fell > 0 ? fell : 0;
}

// The usage is brought down to a limit that was just lowered, if it can be.
bool reclaim_down(Segment& segment, uint32_t group, int64_t limit) {
  const PageCounter& counter = segment.group(group)->memory;
  if (counter.usage() <= limit) return true;
  drain(segment, group);
  int fruitless = 0;
  for (int round = 0; round < kMostRounds && fruitless < kRetries; ++round) {
    const int64_t over = counter.usage() - limit;
    if (over <= 0) return true;
    if (reclaim_round(segment, group, over, false) == 0) ++fruitless;
  }
  return counter.usage() <= limit;
}

// One more is killed, unless somebody is on its way out already. False if
// nobody can be.
bool kill_one(Segment& segment, uint32_t group, int64_t limit) {
  Lease lease(segment, segment.header().oom_lease, kLeaseWaitMs, kMostLeaseMs);
  if (!lease.held() || somebody_ends(segment, group)) return true;
  // Whoever had the lease before may have done it.
  reap_dead_processes(segment);
  if (segment.group(group)->memory.usage() <= limit) return true;
  memcg_memory_event(segment, group, Event::kOom);
  Victim victim(segment, group);
  if (victim.found()) victim.kill();
  return victim.found();
}

// As memory_max_write: processes are killed until usage fits, nobody is left,
// or the time is up.
void kill_down(Segment& segment, uint32_t group, int64_t limit) {
  const PageCounter& counter = segment.group(group)->memory;
  const uint64_t deadline = sys::monotonic_ns() + kMostKillingNs;
  while (counter.usage() > limit && sys::monotonic_ns() < deadline) {
    reap_dead_processes(segment);
    if (counter.usage() <= limit) return;
    if (somebody_ends(segment, group)) {
      sys::sleep_ns(kLookNs);
    } else if (!kill_one(segment, group, limit)) {
      return;
    }
  }
}

// "swappiness=60" or "swappiness=max": taken, and of no meaning yet.
bool is_swappiness(const char* word) {
  constexpr char kKey[] = "swappiness=";
  if (std::strncmp(word, kKey, sizeof(kKey) - 1) != 0) return false;
  word += sizeof(kKey) - 1;
  uint32_t value;
  return std::strcmp(word, "max") == 0 ||
         (*word >= '0' && *word <= '9' && parse_int(word, &value) == 0 &&
          value <= kMostSwappiness);
}

// "10M swappiness=60". 0 or EINVAL.
int parse_reclaim(const char* value, int64_t* pages) {
  constexpr const char* kBlanks = " \t\n";
  char word[64];
  if (*value == '\0') return EINVAL;
  for (bool first = true; *value != '\0'; first = false) {
    const size_t length = std::strcspn(value, kBlanks);
    if (length >= sizeof(word)) return EINVAL;
    std::memcpy(word, value, length);
    word[length] = '\0';
    value += length;
    value += std::strspn(value, kBlanks);
    const bool good =
        first ? *word >= '0' && *word <= '9' && parse_size(word, pages) == 0
              : is_swappiness(word);
    if (!good) return EINVAL;
  }
  return 0;
}

int store_pages(std::atomic<int64_t>& limit, const char* value) {
  int64_t pages;
  if (parse_size(value, &pages) != 0) return EINVAL;
  limit.store(pages, kRelaxed);
  return 0;
}

}  // namespace

int store_high(Segment& segment, uint32_t group, const char* value) {
  int64_t pages;
  if (parse_size(value, &pages) != 0) return EINVAL;
  segment.group(group)->high.store(pages, kRelaxed);
  // It is no error if that is not enough.
  reclaim_down(segment, group, pages);
  return 0;
}

// The reserve follows the limit, as it does in `umemcg run`.
int store_max(Segment& segment, uint32_t group, const char* value) {
  int64_t pages;
  if (parse_size(value, &pages) != 0) return EINVAL;
  Group& row = *segment.group(group);
  row.memory.set_reserve(default_reserve(pages));
  row.memory.store_max(pages);
  // Where nobody is to be killed the group stays over its limit, and nothing
  // more is charged until its processes give something back.
  if (!reclaim_down(segment, group, pages) &&
      row.oom_policy.load(kRelaxed) == OomPolicy::kKill) {
    kill_down(segment, group, pages);
  }
  return 0;
}

// user_proactive_reclaim.
int store_reclaim(Segment& segment, uint32_t group, const char* value) {
  int64_t wanted = 0;
  if (parse_reclaim(value, &wanted) != 0) return EINVAL;
  const PageCounter& counter = segment.group(group)->memory;
  int retries = kRetries;
  for (int round = 0; wanted > 0 && round < kMostRounds; ++round) {
    const int64_t before = counter.usage();
    if (retries == 0) drain(segment, group);
    const int64_t drained = before - counter.usage();
    int64_t got = reclaim_round(segment, group, (wanted + 3) / 4, true);
    if (drained > 0) got += drained;
    if (got == 0 && retries-- == 0) return EAGAIN;
    wanted -= got;
  }
  return wanted <= 0 ? 0 : EAGAIN;
}

void show_soft_limit(Segment& segment, uint32_t group, TextBuffer& out) {
  show_pages(segment.group(group)->soft_limit.load(kRelaxed), nullptr, out);
}

int store_soft_limit(Segment& segment, uint32_t group, const char* value) {
  int64_t pages;
  if (parse_limit_v1(value, &pages) != 0) return EINVAL;
  segment.group(group)->soft_limit.store(pages, kRelaxed);
  return 0;
}

void show_swap_high(Segment& segment, uint32_t group, TextBuffer& out) {
  show_pages(segment.group(group)->swap_high.load(kRelaxed), "max", out);
}

int store_swap_high(Segment& segment, uint32_t group, const char* value) {
  return store_pages(segment.group(group)->swap_high, value);
}

void show_swap_max(Segment& segment, uint32_t group, TextBuffer& out) {
  show_pages(segment.group(group)->swap_max.load(kRelaxed), "max", out);
}

int store_swap_max(Segment& segment, uint32_t group, const char* value) {
  return store_pages(segment.group(group)->swap_max, value);
}

void show_swap_nothing(Segment&, uint32_t, TextBuffer& out) { out.text("0\n"); }

int reset_swap_peak(Segment&, uint32_t, const char*) { return 0; }

void show_swap_events(Segment&, uint32_t, TextBuffer& out) {
  out.text("high 0\nmax 0\nfail 0\n");
}

}  // namespace umemcg::control
