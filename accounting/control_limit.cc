// memory.high, memory.max and memory.reclaim: the limit is set first, then what
// is above it is reclaimed (reclaim_down.h). And the limits that are only kept.

#include <cerrno>
#include <cstring>

#include "accounting/control_rows.h"
#include "accounting/event.h"
#include "accounting/lease.h"
#include "accounting/mem_cgroup.h"
#include "accounting/parse_number.h"
#include "accounting/process.h"
#include "accounting/reclaim_down.h"
#include "accounting/size.h"
#include "accounting/victim.h"
#include "base/sys.h"

namespace umemcg::control {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

// As for any who is out of memory (reclaim/oom.cc).
constexpr uint32_t kLeaseWaitMs = 500;
constexpr uint32_t kMostLeaseMs = 2000;
// How long a writer waits, in all, for those who are killed.
constexpr uint64_t kMostKillingNs = 10'000'000'000;
constexpr uint64_t kLookNs = 2'000'000;
constexpr uint32_t kMostSwappiness = 200;

// One more is killed, unless somebody is on its way out already. False if
// nobody can be.
bool kill_one(Segment& segment, uint32_t group, int64_t limit,
              const Writer& writer) {
  Lease lease(segment, segment.header().oom_lease, kLeaseWaitMs, kMostLeaseMs);
  if (!lease.held() || somebody_ends(segment, group)) return true;
  // Whoever had the lease before may have done it, or removed the group.
  reap_dead_processes(segment);
  if (segment.group(group)->memory.usage() <= limit) return true;
  if (!is_meant(segment, group, writer)) return false;
  memcg_memory_event(segment, group, Event::kOom);
  Victim victim(segment, group);
  if (victim.found()) victim.kill();
  return victim.found();
}

// As memory_max_write: processes are killed until usage fits, nobody is left,
// the writer is to stop, or the time is up.
void kill_down(Segment& segment, uint32_t group, int64_t limit,
               const Writer& writer) {
  const PageCounter& counter = segment.group(group)->memory;
  const uint64_t deadline = sys::monotonic_ns() + kMostKillingNs;
  while (counter.usage() > limit && sys::monotonic_ns() < deadline &&
         why_to_stop(segment, group, writer) == 0) {
    reap_dead_processes(segment);
    if (counter.usage() <= limit) return;
    if (somebody_ends(segment, group)) {
      sys::sleep_ns(kLookNs);
    } else if (!kill_one(segment, group, limit, writer)) {
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

int store_high(Segment& segment, uint32_t group, const char* value,
               const Writer& writer) {
  int64_t pages;
  if (parse_size(value, &pages) != 0) return EINVAL;
  segment.group(group)->high.store(pages, kRelaxed);
  // It is no error if that is not enough.
  if (!writer.nonblocking) reclaim_down(segment, group, pages, writer);
  return 0;
}

// The reserve follows the limit, as it does in `umemcg run`.
int store_max(Segment& segment, uint32_t group, const char* value,
              const Writer& writer) {
  int64_t pages;
  if (parse_size(value, &pages) != 0) return EINVAL;
  Group& row = *segment.group(group);
  row.memory.set_reserve(default_reserve(pages));
  row.memory.store_max(pages);
  if (writer.nonblocking) return 0;
  // Where nobody is to be killed the group stays over its limit, and nothing
  // more is charged until its processes give something back.
  if (!reclaim_down(segment, group, pages, writer) &&
      row.oom_policy.load(kRelaxed) == OomPolicy::kKill) {
    kill_down(segment, group, pages, writer);
  }
  return 0;
}

// user_proactive_reclaim.
int store_reclaim(Segment& segment, uint32_t group, const char* value,
                  const Writer& writer) {
  int64_t wanted = 0;
  if (parse_reclaim(value, &wanted) != 0) return EINVAL;
  const PageCounter& counter = segment.group(group)->memory;
  int retries = kMaxReclaimRetries;
  for (int round = 0; wanted > 0 && round < kMostReclaimRounds; ++round) {
    const int why = why_to_stop(segment, group, writer);
    if (why != 0) return why;
    const int64_t before = counter.usage();
    if (retries == 0) drain_subtree(segment, group);
    const int64_t drained = before - counter.usage();
    int64_t got = reclaim_round(segment, group, (wanted + 3) / 4, true);
    if (drained > 0) got += drained;
    if (got == 0 && retries-- == 0) return EAGAIN;
    wanted -= got;
  }
  return wanted <= 0 ? 0 : EAGAIN;
}

void show_swap_high(Segment& segment, uint32_t group, TextBuffer& out) {
  show_pages(segment.group(group)->swap_high.load(kRelaxed), "max", out);
}

int store_swap_high(Segment& segment, uint32_t group, const char* value,
                    const Writer&) {
  return store_pages(segment.group(group)->swap_high, value);
}

void show_swap_max(Segment& segment, uint32_t group, TextBuffer& out) {
  show_pages(segment.group(group)->swap_max.load(kRelaxed), "max", out);
}

int store_swap_max(Segment& segment, uint32_t group, const char* value,
                   const Writer&) {
  return store_pages(segment.group(group)->swap_max, value);
}

void show_swap_nothing(Segment&, uint32_t, TextBuffer& out) { out.text("0\n"); }

int reset_swap_peak(Segment&, uint32_t, const char*, const Writer&) {
  return 0;
}

void show_swap_events(Segment&, uint32_t, TextBuffer& out) {
  out.text("high 0\nmax 0\nfail 0\n");
}

}  // namespace umemcg::control
