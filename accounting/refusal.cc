#include "accounting/refusal.h"

#include <cstring>

#include "accounting/mem_cgroup.h"
#include "accounting/segment.h"
#include "base/sys.h"

namespace umemcg {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
// Words of an entry. Who reads one (acquire) that was put after another mark
// (release) sees that mark when it looks at the sequence once more.
constexpr auto kPut = std::memory_order_release;
constexpr auto kGet = std::memory_order_acquire;

// `sequence` of the refusal with that number (from 0), while and after it is
// written.
constexpr uint64_t being_written(uint64_t number) { return 2 * number + 1; }
constexpr uint64_t written(uint64_t number) { return 2 * number + 2; }

// So long, at least, an entry is its writer's.
constexpr uint64_t kWritingMs = 10'000;

// The entry for refusal `number` among so many places, or null if somebody
// writes it who is not long overtaken, by number and by time: that one was
// killed there. (One that goes on after all that time mixes up an entry.)
Refusal* claim(Refusal* entries, uint32_t places, uint64_t number) {
  Refusal& entry = entries[number % places];
  uint64_t seen = entry.sequence.load(kRelaxed);
  const bool busy =
      seen % 2 == 1 &&
      (seen + 4 * places > 2 * number ||
       entry.time_ms.load(kRelaxed) + kWritingMs > sys::wall_clock_ms());
  if (busy || seen >= being_written(number) ||
      !entry.sequence.compare_exchange_strong(
          seen, being_written(number), std::memory_order_acq_rel, kRelaxed)) {
    return nullptr;
  }
  return &entry;
}

void write_name(Refusal& entry) {
  char name[16];
  sys::thread_name(name);
  uint64_t words[2];
  static_assert(sizeof(words) == sizeof(name));
  std::memcpy(words, name, sizeof(words));
  for (int i = 0; i < 2; ++i) entry.name[i].store(words[i], kPut);
}

void write_entry(Segment& segment, uint32_t limiting,
                 const RefusalReport& report, Refusal& entry) {
  const PageCounter& counter = segment.group(limiting)->memory;
  entry.time_ms.store(sys::wall_clock_ms(), kPut);
  entry.group_id.store(group_id(segment, report.charged), kPut);
  entry.pid.store(sys::process_id(), kPut);
  entry.thread.store(sys::thread_id(), kPut);
  entry.outcome.store(report.outcome, kPut);
  entry.flags.store(report.flags, kPut);
  entry.request.store(report.request, kPut);
  entry.limit.store(counter.max(), kPut);
  entry.usage.store(counter.usage(), kPut);
  entry.cached.store(report.cached, kPut);
  for (int i = 0; i < kSources; ++i) {
    const int64_t got = report.got != nullptr ? report.got[i] : 0;
    entry.got[i].store(got, kPut);
  }
  write_name(entry);
}

// False if it was written meanwhile, or never.
bool read_entry(const Refusal& entry, RefusalView* view) {
  // acquire: pairs with record_refusal().
  const uint64_t before = entry.sequence.load(std::memory_order_acquire);
  if (before == 0 || before % 2 == 1) return false;
  view->number = (before - written(0)) / 2;
  view->time_ms = entry.time_ms.load(kGet);
  view->group_id = entry.group_id.load(kGet);
  view->pid = entry.pid.load(kGet);
  view->thread = entry.thread.load(kGet);
  const Outcome outcome = entry.outcome.load(kGet);
  view->outcome =
      static_cast<uint32_t>(outcome) < kOutcomes ? outcome : Outcome::kFailed;
  view->flags = entry.flags.load(kGet);
  view->request = entry.request.load(kGet);
  view->limit = entry.limit.load(kGet);
  view->usage = entry.usage.load(kGet);
  view->cached = entry.cached.load(kGet);
  for (int i = 0; i < kSources; ++i) view->got[i] = entry.got[i].load(kGet);
  uint64_t words[2];
  for (int i = 0; i < 2; ++i) words[i] = entry.name[i].load(kGet);
  std::memcpy(view->name, words, sizeof(words));
  view->name[sizeof(view->name) - 1] = '\0';
  return entry.sequence.load(kRelaxed) == before;
}

}  // namespace

void record_refusal(Segment& segment, uint32_t limiting,
                    const RefusalReport& report) {
  Group* group = segment.group(limiting);
  if (group == nullptr) return;
  RefusalLog& log = group->refusals;
  const bool passed = was_let_pass(report.outcome);
  const uint64_t number =
      (passed ? log.passed : log.count).fetch_add(1, kRelaxed);
  Refusal* entry = passed ? claim(log.entries + kFailures, kPasses, number)
                          : claim(log.entries, kFailures, number);
  if (entry == nullptr) return;
  write_entry(segment, limiting, report, *entry);
  // release: pairs with read_entry(). Overtaken: it is another's by now.
  uint64_t mine = being_written(number);
  entry->sequence.compare_exchange_strong(mine, written(number),
                                          std::memory_order_release, kRelaxed);
}

namespace {
// By the clock where nothing else tells.
bool is_newer(const RefusalView& one, const RefusalView& other) {
  return was_let_pass(one.outcome) == was_let_pass(other.outcome)
             ? one.number > other.number
             : one.time_ms > other.time_ms;
}
}  // namespace

int read_refusals(const Group& group, RefusalView (&views)[kRefusals]) {
  int count = 0;
  for (const Refusal& entry : group.refusals.entries) {
    RefusalView view;
    if (!read_entry(entry, &view)) continue;
    int place = count++;
    for (; place > 0 && is_newer(view, views[place - 1]); --place) {
      views[place] = views[place - 1];
    }
    views[place] = view;
  }
  return count;
}

}  // namespace umemcg
