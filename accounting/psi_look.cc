#include "accounting/psi_look.h"

#include <cstring>

#include "accounting/lease.h"
#include "accounting/live_processes.h"
#include "accounting/mem_cgroup.h"
#include "accounting/psi_average.h"
#include "accounting/stat_line.h"
#include "base/sys.h"

namespace umemcg {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
// Who is in the middle of the averages longer than that has been stopped.
constexpr uint32_t kAveragesMs = 20;

// A group and those above it, by depth.
class Path {
 public:
  Path(Segment& segment, uint32_t group) : segment_(segment) {
    for (uint32_t g = group; g != kNone && length_ <= kMaxDepth;
         g = parent_group(segment, g)) {
      levels_[length_++] = g;
    }
  }

  int length() const { return length_; }
  // 0 is the group itself.
  uint32_t at(int level) const { return levels_[level]; }
  // The lowest level in whose subtree `group` is; length() if there is none.
  int above(uint32_t group) const {
    for (int steps = 0; group != kNone && steps <= kMaxDepth; ++steps) {
      for (int level = 0; level < length_; ++level) {
        if (levels_[level] == group) return level;
      }
      group = parent_group(segment_, group);
    }
    return length_;
  }

 private:
  Segment& segment_;
  int length_ = 0;
  uint32_t levels_[kMaxDepth + 1];
};

// "123 (name) R ...": the name may hold anything, but no more than 15 bytes.
// Workers of umemcg have its name.
bool says_running(const char* stat) {
  const char* name = std::strchr(stat, '(');
  const char* end = std::strrchr(stat, ')');
  if (name == nullptr || end == nullptr || std::strncmp(end, ") R", 3) != 0) {
    return false;
  }
  return std::strncmp(name, "(umemcg)", 8) != 0;
}

bool thread_runs(const ProcessSlot& slot, bool own, int32_t thread) {
  Text<64> path;
  path.text("/proc/");
  if (own) {
    path.text("self");
  } else {
    path.signed_number(slot.pid.load(kRelaxed));
  }
  path.text("/task/").signed_number(thread).text("/stat");
  char stat[512];
  return sys::read_file(path.c_str(), stat, sizeof(stat)) > 0 &&
         says_running(stat);
}

// Goes through the threads and finds the lowest level with a productive one.
class Look {
 public:
  Look(Segment& segment, const Path& path) : segment_(segment), path_(path) {
    own_ = &segment == &g_segment ? this_process() : kNone;
    const ProcessSlot* slot = segment.process(own_);
    namespace_ = segment.is_private() ? 0
                 : slot != nullptr    ? slot->pid_namespace.load(kRelaxed)
                                      : own_pid_namespace();
  }

  // From that line on and round, so that where there are many, each look is at
  // others.
  int lowest(uint32_t first) {
    const uint32_t lines = segment_.lines_used();
    lowest_ = path_.length();
    for (uint32_t i = 0; i < lines && lowest_ > 0 && looks_ < kPsiMostLooks;
         ++i) {
      look_at(*segment_.line((first + i) % lines));
    }
    return lowest_;
  }

 private:
  void look_at(const StockLine& line) {
    const uint32_t process = line.owner.load(kRelaxed) - 1;
    if (&line == thread_line() || line.stalled.load(kRelaxed) != 0) return;
    const ProcessSlot* slot = segment_.process(process);
    if (slot == nullptr || (!segment_.is_private() &&
                            slot->pid_namespace.load(kRelaxed) != namespace_)) {
      return;
    }
    const int level = path_.above(group_of_line(segment_, line));
    if (level >= lowest_) return;
    ++looks_;
    if (thread_runs(*slot, process == own_, line.thread.load(kRelaxed))) {
      lowest_ = level;
    }
  }

  Segment& segment_;
  const Path& path_;
  uint32_t own_;
  uint64_t namespace_;
  int looks_ = 0;
  int lowest_ = 0;
};

// Found other than last time: it has changed in between, say in the middle.
void note(Segment& segment, PsiGroup& psi, uint64_t last_us, uint64_t now_us,
          bool productive) {
  const PsiWord word(psi.state.load(kRelaxed));
  if (word.productive() == productive) return;
  uint64_t from = word.since_us();
  if (from < last_us) from = last_us;
  const uint64_t middle = from < now_us ? from + (now_us - from) / 2 : now_us;
  psi_settle(segment, psi, middle);
  psi_set_productive(psi, middle, productive);
}

}  // namespace

void psi_look(Segment& segment, uint32_t group, uint64_t now_us) {
  std::atomic<uint64_t>& looked = segment.group(group)->psi.looked_us;
  uint64_t last = looked.load(kRelaxed);
  if (now_us >= last && now_us - last < kPsiLookPauseUs) return;
  // One of those who come at the same time does it.
  if (!looked.compare_exchange_strong(last, now_us, kRelaxed)) return;
  const Path path(segment, group);
  const int lowest =
      Look(segment, path).lowest(static_cast<uint32_t>(now_us / 1024));
  for (int level = 0; level < path.length(); ++level) {
    PsiGroup& psi = segment.group(path.at(level))->psi;
    if (level > 0) last = psi.looked_us.exchange(now_us, kRelaxed);
    note(segment, psi, last, now_us, level >= lowest);
  }
}

void psi_settle(Segment& segment, PsiGroup& psi, uint64_t now_us) {
  if (psi_average_due(psi, now_us)) {
    const Lease lease(segment, psi.lease, 0, kAveragesMs);
    if (lease.held()) psi_average(psi, now_us);
  }
  psi_advance(psi, now_us);
}

}  // namespace umemcg
