#include "tests/mimalloc_contract/event_log.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>

namespace umemcg {
namespace {

constexpr size_t kMaxEvents = 1 << 16;
constexpr size_t kMaxPrinted = 48;

constinit Event events[kMaxEvents];
constinit std::atomic<size_t> next_event{0};

const char* NameOf(EventKind kind) {
  switch (kind) {
    case EventKind::kMark:
      return "mark";
    case EventKind::kCommit:
      return "commit";
    case EventKind::kDecommit:
      return "decommit";
    case EventKind::kCallback:
      return "callback";
    case EventKind::kError:
      return "error";
    case EventKind::kMmap:
      return "mmap";
    case EventKind::kMunmap:
      return "munmap";
    case EventKind::kMprotect:
      return "mprotect";
    case EventKind::kMadvise:
      return "madvise";
  }
  return "?";
}

}  // namespace

void Log(const Event& event) {
  const size_t index = next_event.fetch_add(1, std::memory_order_relaxed);
  if (index >= kMaxEvents) {
    return;  // a fact that counts this many events has failed anyway
  }
  events[index] = event;
  events[index].tid = static_cast<pid_t>(syscall(SYS_gettid));
}

std::span<const Event> Events() {
  const size_t count = next_event.load(std::memory_order_relaxed);
  return {events, std::min(count, kMaxEvents)};
}

std::span<const Event> RecentEvents() {
  const std::span<const Event> all = Events();
  size_t begin = all.size();
  while (begin > 0 && all[begin - 1].kind != EventKind::kMark) {
    --begin;
  }
  return all.subspan(begin);
}

void ClearEvents() { next_event.store(0, std::memory_order_relaxed); }

void PrintEvents() {
  const std::span<const Event> all = Events();
  const size_t shown = std::min(all.size(), kMaxPrinted);
  std::fprintf(stderr, "  last %zu of %zu events:\n", shown, all.size());
  for (const Event& event : all.last(shown)) {
    std::fprintf(stderr,
                 "    %-8s %s start=%#zx size=%zu KiB + %zu value=%d "
                 "flags=%#x thread %d\n",
                 NameOf(event.kind), event.ok ? "yes" : "no ", event.start,
                 event.size / 1024, event.size % 1024, event.value,
                 static_cast<unsigned>(event.flags), event.tid);
  }
}

size_t Count(std::span<const Event> events_in, EventKind kind) {
  return static_cast<size_t>(
      std::count_if(events_in.begin(), events_in.end(),
                    [kind](const Event& event) { return event.kind == kind; }));
}

size_t SumOfSizes(std::span<const Event> events_in, EventKind kind) {
  size_t sum = 0;
  for (const Event& event : events_in) {
    sum += event.kind == kind ? event.size : 0;
  }
  return sum;
}

const Event* First(std::span<const Event> events_in, EventKind kind) {
  for (const Event& event : events_in) {
    if (event.kind == kind) {
      return &event;
    }
  }
  return nullptr;
}

const Event* Last(std::span<const Event> events_in, EventKind kind) {
  const Event* found = nullptr;
  for (const Event& event : events_in) {
    found = event.kind == kind ? &event : found;
  }
  return found;
}

}  // namespace umemcg
