#include "cli/sample.h"

#include <algorithm>
#include <functional>
#include <map>

#include "accounting/mem_cgroup.h"
#include "accounting/process.h"
#include "accounting/psi_average.h"
#include "accounting/stock_word.h"
#include "base/sys.h"
#include "base/units.h"
#include "cli/census.h"
#include "cli/group_tree.h"

namespace umemcg {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

// What a group has that does not stand in its row; pages.
struct Parts {
  // Of the subtree.
  int64_t cached = 0;
  int64_t stock = 0;
  int64_t charged = 0;
  int64_t uncharged = 0;
  int64_t ready = 0;  // of what is cached: comes back at once
  // Of the group itself.
  uint32_t processes = 0;
  uint32_t threads = 0;
};

constexpr int64_t bytes_of(int64_t pages) {
  return pages > 0 ? pages << kPageShift : 0;
}
constexpr int64_t limit_of(int64_t pages) {
  return pages >= kPageCounterMax ? kUnlimited : bytes_of(pages);
}

int64_t value_of(const StatArray& stats, Stat stat) {
  return stats[static_cast<int>(stat)].load(kRelaxed);
}

// Whether it gives back what it has cached when it is asked: it lives, and has
// not let the last request pass.
bool answers(uint32_t process) {
  const ProcessSlot* slot = g_segment.process(process);
  // acquire: pairs with the reaping of the process.
  if (slot == nullptr ||
      slot->state.load(std::memory_order_acquire) != ProcessState::kAttached) {
    return false;
  }
  const uint32_t missed = slot->reclaim_missed.load(kRelaxed);
  const uint32_t seen = slot->reclaim_seen.load(kRelaxed);
  return missed == 0 || static_cast<int32_t>(seen - missed) >= 0;
}

// The parts of all groups, each table of the segment looked through once.
class PartsOfAll {
 public:
  explicit PartsOfAll(const Census& census) : parts_(g_segment.groups_used()) {
    add_groups();
    add_ledgers();
    add_lines();
    for (const ProcessEntry& p : census.processes) {
      at(p.group).processes += !p.ended;
    }
    for (const ThreadEntry& t : census.threads) ++at(t.group).threads;
    add_to_parents();
  }

  // Of a group that was made meanwhile: nothing.
  Parts& at(uint32_t group) {
    return group < parts_.size() ? parts_[group] : none_;
  }

 private:
  void add_groups() {
    for (uint32_t i = 0; i < parts_.size(); ++i) {
      add(i, g_segment.group(i)->stat, false);
    }
  }

  void add_ledgers() {
    for (uint32_t i = 0; i < g_segment.ledgers_used(); ++i) {
      const Ledger& ledger = *g_segment.ledger(i);
      const uint64_t owner = ledger.owner.load(kRelaxed);
      if (owner == 0) continue;
      add(owner_group(owner), ledger.stat, answers(owner_process(owner)));
    }
  }

  void add_lines() {
    for (uint32_t i = 0; i < g_segment.lines_used(); ++i) {
      const StockLine& line = *g_segment.line(i);
      for (const auto& slot : line.slots) add_stock(slot.load(kRelaxed));
      add_stock(line.reservation.load(kRelaxed));
      const uint32_t named = line.stat_ledger.load(kRelaxed);
      if (line.owner.load(kRelaxed) == 0 || named == 0) continue;
      const Ledger* ledger = g_segment.ledger(named - 1);
      const uint64_t owner =
          ledger != nullptr ? ledger->owner.load(kRelaxed) : 0;
      if (owner == 0) continue;
      add(owner_group(owner), line.stat, answers(owner_process(owner)));
    }
  }

  void add(uint32_t group, const StatArray& stats, bool ready) {
    Parts& parts = at(group);
    parts.cached += value_of(stats, Stat::kCached);
    parts.charged += value_of(stats, Stat::kCharged);
    parts.uncharged += value_of(stats, Stat::kUncharged);
    if (ready) parts.ready += value_of(stats, Stat::kCached);
  }

  void add_stock(uint64_t bits) {
    const StockWord word(bits);
    if (word.pages() != 0) {
      at(group_of_word(g_segment, word)).stock += word.pages();
    }
  }

  // Deepest first, those too that have been removed but still hold something.
  void add_to_parents() {
    std::map<uint32_t, std::vector<uint32_t>, std::greater<>> levels;
    for (uint32_t i = 0; i < parts_.size(); ++i) {
      levels[g_segment.group(i)->depth.load(kRelaxed)].push_back(i);
    }
    for (const auto& [level, groups] : levels) {
      for (uint32_t i : groups) add_to_parent(i);
    }
  }

  void add_to_parent(uint32_t group) {
    Parts& from = parts_[group];
    const uint32_t above = parent_group(g_segment, group);
    if (above == kNone || above == group) return;
    Parts& to = at(above);
    to.cached += from.cached;
    to.charged += from.charged;
    to.uncharged += from.uncharged;
    to.stock += from.stock;
    // Reclaim for the limits above leaves it what memory.min says.
    const PageCounter& memory = g_segment.group(group)->memory;
    to.ready += std::clamp<int64_t>(memory.usage() - memory.min(), 0,
                                    std::max<int64_t>(from.ready, 0));
  }

  std::vector<Parts> parts_;
  Parts none_;
};

void read_pressure(uint32_t group, uint64_t now_ns, GroupSample* sample) {
  psi_update(g_segment, group, now_ns);
  const PsiGroup& psi = g_segment.group(group)->psi;
  for (size_t s = 0; s < kPsiStates; ++s) {
    sample->stall_us[s] = psi.total_us[s].load(kRelaxed);
    for (size_t a = 0; a < kPsiAverages; ++a) {
      sample->stalled[s][a] =
          static_cast<double>(psi.average[s][a].load(kRelaxed)) /
          (1 << kPsiShift);
    }
  }
}

GroupSample sample_of(const TreeEntry& entry, const Parts& parts,
                      uint64_t now_ns) {
  const Group& group = *g_segment.group(entry.group);
  GroupSample sample;
  sample.id = group_id(g_segment, entry.group);
  sample.path = entry.path;
  sample.depth = entry.depth;
  sample.usage = bytes_of(group.memory.usage());
  sample.peak = bytes_of(group.memory.watermark());
  sample.min = limit_of(group.memory.min());
  sample.low = limit_of(group.memory.low());
  sample.high = limit_of(group.high.load(kRelaxed));
  sample.max = limit_of(group.memory.max());
  sample.cached = bytes_of(parts.cached);
  sample.stock = bytes_of(parts.stock);
  sample.charged = bytes_of(parts.charged);
  sample.uncharged = bytes_of(parts.uncharged);
  for (size_t e = 0; e < kEvents; ++e) {
    sample.events[e] = group.events[e].load(kRelaxed);
  }
  for (size_t s = 0; s < kSources; ++s) {
    sample.reclaimed[s] = group.sources[s].reclaimed.load(kRelaxed)
                          << kPageShift;
  }
  sample.processes = parts.processes;
  sample.threads = parts.threads;
  read_pressure(entry.group, now_ns, &sample);
  return sample;
}

// What is left below this limit alone.
int64_t room_of(const GroupSample& sample, const Parts& parts) {
  if (sample.max == kUnlimited) return kUnlimited;
  return std::max<int64_t>(0, sample.max - sample.usage +
                                  bytes_of(parts.stock) +
                                  bytes_of(parts.ready));
}

std::vector<ProcessSample> processes_of(const Census& census) {
  std::vector<ProcessSample> samples;
  std::map<uint32_t, size_t> place;  // by slot
  for (const ProcessEntry& process : census.processes) {
    place[process.slot] = samples.size();
    samples.push_back({process.pid,
                       process.name,
                       group_id(g_segment, process.group),
                       bytes_of(process.charged_pages),
                       {},
                       process.ended});
  }
  for (const ChargeEntry& charge : census.charges) {
    const auto found = place.find(charge.slot);
    if (found == place.end() || charge.pages <= 0) continue;
    samples[found->second].charges.push_back(
        {group_id(g_segment, charge.group), bytes_of(charge.pages)});
  }
  return samples;
}

}  // namespace

Sample take_sample() {
  reap_dead_processes(g_segment);
  Sample sample;
  sample.domain = g_segment.path();
  sample.clock_ns = sys::monotonic_ns();
  sample.wall_ms = static_cast<int64_t>(sys::wall_clock_ms());
  const Census census = take_census();
  PartsOfAll all(census);
  // Of the groups on the way down to the one that is looked at.
  std::vector<int64_t> room;
  for (const TreeEntry& entry : list_subtree(kRootGroup)) {
    const Parts& parts = all.at(entry.group);
    GroupSample group = sample_of(entry, parts, sample.clock_ns);
    room.resize(entry.depth);
    room.push_back(std::min(room.empty() ? kUnlimited : room.back(),
                            room_of(group, parts)));
    group.available = room.back();
    sample.groups.push_back(std::move(group));
  }
  sample.processes = processes_of(census);
  return sample;
}

}  // namespace umemcg
