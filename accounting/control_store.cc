#include <cerrno>
#include <climits>
#include <cstring>

#include "accounting/control_rows.h"
#include "accounting/controller.h"
#include "accounting/live_processes.h"
#include "accounting/mem_cgroup.h"
#include "accounting/parse_number.h"
#include "accounting/process.h"
#include "accounting/size.h"
#include "accounting/tree_change.h"

namespace umemcg::control {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

int store_count(std::atomic<uint32_t>& count, const char* value) {
  uint32_t number = kNone;
  int error = std::strcmp(value, "max") == 0 ? 0 : parse_int(value, &number);
  // (As there, where the largest number stands for it.)
  if (number == INT_MAX) number = kNone;
  if (error == 0) count.store(number, kRelaxed);
  return error;
}

}  // namespace

int store_min(Segment& segment, uint32_t group, const char* value,
              const Writer& writer) {
  int64_t pages;
  if (parse_size(value, &pages) != 0) return EINVAL;
  TreeChange change(segment);
  if (!change.held()) return EBUSY;
  if (!is_meant(segment, group, writer)) return ENODEV;
  segment.group(group)->memory.set_min(pages);
  return 0;
}

int store_low(Segment& segment, uint32_t group, const char* value,
              const Writer& writer) {
  int64_t pages;
  if (parse_size(value, &pages) != 0) return EINVAL;
  TreeChange change(segment);
  if (!change.held()) return EBUSY;
  if (!is_meant(segment, group, writer)) return ENODEV;
  segment.group(group)->memory.set_low(pages);
  return 0;
}

// "+memory -memory": the last word on a controller counts.
int store_subtree_control(Segment& segment, uint32_t group, const char* value,
                          const Writer&) {
  uint32_t on = 0, off = 0;
  for (;;) {
    value += std::strspn(value, " \t\n");
    const size_t length = std::strcspn(value, " \t\n");
    if (length == 0) break;
    const Controller* controller = find_controller(value + 1, length - 1);
    if (controller == nullptr) return EINVAL;
    if (*value == '+') {
      on |= controller->bit;
      off &= ~controller->bit;
    } else if (*value == '-') {
      off |= controller->bit;
      on &= ~controller->bit;
    } else {
      return EINVAL;
    }
    value += length;
  }
  return on == 0 && off == 0 ? 0 : set_subtree_control(segment, group, on, off);
}

int store_max_depth(Segment& segment, uint32_t group, const char* value,
                    const Writer&) {
  return store_count(segment.group(group)->max_depth, value);
}

int store_max_descendants(Segment& segment, uint32_t group, const char* value,
                          const Writer&) {
  return store_count(segment.group(group)->max_descendants, value);
}

namespace {

// The number of a process or thread: "0" is the writer's.
int parse_task(const char* value, const Writer& writer, int32_t* task) {
  uint32_t number;
  if (parse_int(value, &number) != 0) return EINVAL;
  *task = number != 0 ? static_cast<int32_t>(number) : writer.pid;
  return 0;
}

// The live process with that number; 0 is the calling one. Or kNone.
uint32_t process_of_task(Segment& segment, int32_t task) {
  if (task != 0) return find_process(segment, task);
  return &segment == &g_segment ? this_process() : kNone;
}

// Where a thread with that number is, or kNone.
uint32_t group_of_thread(Segment& segment, int32_t thread) {
  const LiveProcesses live(segment);
  for (uint32_t i = 0; i < segment.lines_used(); ++i) {
    const StockLine& line = *segment.line(i);
    const uint32_t process = line.owner.load(kRelaxed) - 1;
    if (line.thread.load(kRelaxed) == thread && live.has(process) &&
        live.visible(process, thread) == thread) {
      return group_of_line(segment, line);
    }
  }
  const uint32_t process = process_of_task(segment, thread);
  const ProcessSlot* slot = segment.process(process);
  return slot != nullptr ? slot->group.load(kRelaxed) : kNone;
}

}  // namespace

int store_procs(Segment& segment, uint32_t group, const char* value,
                const Writer& writer) {
  int32_t pid;
  if (parse_task(value, writer, &pid) != 0) return EINVAL;
  const uint32_t process = process_of_task(segment, pid);
  if (process == kNone) return ESRCH;
  return move_process(segment, process, group);
}

// Memory is charged by domains: as in the kernel, a thread is not moved from
// one to another. (A thread puts itself into a group by umemcg_thread_set.)
int store_threads(Segment& segment, uint32_t group, const char* value,
                  const Writer& writer) {
  int32_t thread;
  if (parse_task(value, writer, &thread) != 0) return EINVAL;
  const uint32_t home = group_of_thread(segment, thread);
  if (home == kNone) return ESRCH;
  return home == group ? 0 : EOPNOTSUPP;
}

// The first thread of a process takes the others along.
int store_tasks(Segment& segment, uint32_t group, const char* value,
                const Writer& writer) {
  const int error = store_procs(segment, group, value, writer);
  return error == ESRCH ? store_threads(segment, group, value, writer) : error;
}

int store_type(Segment&, uint32_t, const char* value, const Writer&) {
  return std::strcmp(value, "threaded") == 0 ? EOPNOTSUPP : EINVAL;
}

}  // namespace umemcg::control
