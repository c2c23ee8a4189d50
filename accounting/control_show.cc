#include "accounting/control_rows.h"
#include "accounting/controller.h"
#include "accounting/freezer.h"
#include "accounting/live_processes.h"
#include "accounting/mem_cgroup.h"

namespace umemcg::control {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

void show_counts(const std::atomic<uint64_t> (&counts)[kEvents],
                 TextBuffer& out) {
  for (int e = 0; e < kEvents; ++e) {
    out.text(kEventNames[e]).character(' ');
    out.number(counts[e].load(kRelaxed)).character('\n');
  }
}

// The names of controllers for which `wanted` says so, in one line.
template <typename Wanted>
void show_names(Wanted wanted, TextBuffer& out) {
  const char* gap = "";
  for (const Controller& controller : kControllerTable) {
    if (!wanted(controller)) continue;
    out.text(gap).text(controller.name);
    gap = " ";
  }
  out.character('\n');
}

void show_count(const std::atomic<uint32_t>& count, TextBuffer& out) {
  const uint32_t most = count.load(kRelaxed);
  if (most == kNone) {
    out.text("max\n");
  } else {
    out.number(most).character('\n');
  }
}

struct Descendants {
  uint64_t all = 0;
  uint64_t with_memory = 0;
};

}  // namespace

void show_pages(int64_t pages, const char* unlimited, TextBuffer& out) {
  if (pages >= kPageCounterMax && unlimited != nullptr) {
    out.text(unlimited).character('\n');
    return;
  }
  if (pages < 0) pages = 0;
  if (pages > kPageCounterMax) pages = kPageCounterMax;
  out.number(static_cast<uint64_t>(pages) << kPageShift).character('\n');
}

void show_high(Segment& segment, uint32_t group, TextBuffer& out) {
  show_pages(segment.group(group)->high.load(kRelaxed), "max", out);
}

void show_events(Segment& segment, uint32_t group, TextBuffer& out) {
  show_counts(segment.group(group)->events, out);
}
void show_events_local(Segment& segment, uint32_t group, TextBuffer& out) {
  show_counts(segment.group(group)->events_local, out);
}

void show_procs(Segment& segment, uint32_t group, TextBuffer& out) {
  const LiveProcesses live(segment);
  for (uint32_t i = 0; i < segment.processes_used(); ++i) {
    const ProcessSlot& slot = *segment.process(i);
    if (slot.group.load(kRelaxed) == group && live.has(i)) {
      out.signed_number(live.visible(i, slot.pid.load(kRelaxed)));
      out.character('\n');
    }
  }
}

// The threads that have allocated; others have no line.
void show_threads(Segment& segment, uint32_t group, TextBuffer& out) {
  const LiveProcesses live(segment);
  for (uint32_t i = 0; i < segment.lines_used(); ++i) {
    const StockLine& line = *segment.line(i);
    const uint32_t process = line.owner.load(kRelaxed) - 1;
    if (group_of_line(segment, line) == group && live.has(process)) {
      out.signed_number(live.visible(process, line.thread.load(kRelaxed)));
      out.character('\n');
    }
  }
}

void show_controllers(Segment& segment, uint32_t group, TextBuffer& out) {
  show_names(
      [&](const Controller& controller) {
        return has_controller(segment, group, controller.bit);
      },
      out);
}

void show_subtree_control(Segment& segment, uint32_t group, TextBuffer& out) {
  const uint32_t on = segment.group(group)->subtree_control.load(kRelaxed);
  show_names(
      [on](const Controller& controller) { return (on & controller.bit) != 0; },
      out);
}

void show_type(Segment&, uint32_t, TextBuffer& out) { out.text("domain\n"); }

void show_cgroup_events(Segment& segment, uint32_t group, TextBuffer& out) {
  const LiveProcesses live(segment);
  bool populated = false;
  for (uint32_t i = 0; i < segment.processes_used() && !populated; ++i) {
    const uint32_t home = segment.process(i)->group.load(kRelaxed);
    populated = live.has(i) && in_subtree(segment, home, group);
  }
  out.text("populated ").number(populated);
  out.text("\nfrozen ").number(all_stopped(segment, group)).character('\n');
}

void show_cgroup_stat(Segment& segment, uint32_t group, TextBuffer& out) {
  Descendants below[2];  // online, dying
  for (uint32_t i = 0; i < segment.groups_used(); ++i) {
    // acquire: pairs with the making of the group.
    const auto state = segment.group(i)->state.load(std::memory_order_acquire);
    if (state == GroupState::kFree || !in_subtree(segment, i, group)) continue;
    Descendants& counted = below[state != GroupState::kOnline];
    counted.all += i != group;
    // (The group itself counts there, as it does in the kernel.)
    counted.with_memory += has_controller(segment, i, kControllerMemory);
  }
  const char* dying = "";
  for (const Descendants& counted : below) {
    out.text("nr_").text(dying).text("descendants ").number(counted.all);
    out.text("\nnr_").text(dying).text("subsys_memory ");
    out.number(counted.with_memory).character('\n');
    dying = "dying_";
  }
}

void show_max_depth(Segment& segment, uint32_t group, TextBuffer& out) {
  show_count(segment.group(group)->max_depth, out);
}
void show_max_descendants(Segment& segment, uint32_t group, TextBuffer& out) {
  show_count(segment.group(group)->max_descendants, out);
}

}  // namespace umemcg::control
