#include "cli/explain.h"

#include <algorithm>
#include <map>

#include "accounting/mem_cgroup.h"
#include "accounting/oom_policy.h"
#include "accounting/process.h"
#include "accounting/stat_line.h"
#include "accounting/victim.h"
#include "cli/command.h"
#include "cli/group_tree.h"
#include "cli/table.h"

namespace umemcg {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

constexpr uint32_t kConsumers = 8;
constexpr int kCached = static_cast<int>(Stat::kCached);
// Less than that is not worth a sentence.
constexpr int64_t kWorthPages = 16;

std::string size_of(int64_t pages) { return size_cell(pages); }

int64_t cached_in(uint32_t group) {
  int64_t stats[kStats];
  read_stats(g_segment, group, true, stats);
  return stats[kCached];
}

// By slot: pages that lie free in the processes, in the subtree.
std::map<uint32_t, int64_t> cached_by_process(uint32_t root) {
  std::map<uint32_t, int64_t> cached;
  auto count = [&](uint32_t index, const StatArray& stat) {
    const Ledger* ledger = g_segment.ledger(index);
    const uint64_t owner = ledger != nullptr ? ledger->owner.load(kRelaxed) : 0;
    if (owner != 0 && in_subtree(g_segment, owner_group(owner), root)) {
      cached[owner_process(owner)] += stat[kCached].load(kRelaxed);
    }
  };
  for (uint32_t i = 0; i < g_segment.ledgers_used(); ++i) {
    count(i, g_segment.ledger(i)->stat);
  }
  for (uint32_t i = 0; i < g_segment.lines_used(); ++i) {
    const StockLine& line = *g_segment.line(i);
    const uint32_t ledger = line.stat_ledger.load(kRelaxed);
    if (line.owner.load(kRelaxed) != 0 && ledger != 0) {
      count(ledger - 1, line.stat);
    }
  }
  return cached;
}

// It has not looked since somebody last asked for memory, and has no worker
// that would.
bool is_asleep(const ProcessSlot& slot) {
  return slot.reclaim_seen.load(kRelaxed) !=
             g_segment.header().reclaim_seq.load(kRelaxed) &&
         (slot.flags.load(kRelaxed) & kProcessWorker) == 0;
}

// As a limit is set: in bytes, too, where the short form is rounded.
std::string exact_size(int64_t pages) {
  const std::string text = size_of(pages),
                    bytes = std::to_string(pages << kPageShift);
  return text == bytes + " bytes" ? text : text + " (" + bytes + ")";
}

void advise_on_limit(const Explanation& of, std::vector<Advice>* advice) {
  for (const RefusalView& refusal : of.refusals) {
    if (was_let_pass(refusal.outcome)) continue;
    const int64_t needed = refusal.usage + refusal.request;
    if (refusal.request > of.limit) {
      advice->push_back("a request of " + size_of(refusal.request) +
                        " fits under no limit of " + size_of(of.limit));
    }
    if (needed > of.limit) {
      advice->push_back("raise memory.max of " + of.path +
                        ": one more request of " + size_of(refusal.request) +
                        " fits at " + exact_size(needed));
    } else if (of.limit > refusal.limit) {
      advice->push_back("memory.max of " + of.path +
                        " was raised since the last refusal");
    }
    return;
  }
  // None has failed yet.
  if (of.passed != 0) {
    advice->push_back(
        "so far the emergency reserve, or what may go over the limit, has "
        "helped, and no request failed: raise memory.max of " +
        of.path + " before one does");
  }
}

void advise_on_cached(const Explanation& of, std::vector<Advice>* advice) {
  for (const auto& [process, pages] : cached_by_process(of.group)) {
    const ProcessSlot* slot = g_segment.process(process);
    if (slot == nullptr || pages < kWorthPages) continue;
    const bool ended = slot->state.load(kRelaxed) == ProcessState::kOrphaned;
    if (ended) continue;  // its children's copy of it
    advice->push_back(
        size_of(pages) + " are cached in " + name_of_process(process) +
        (is_asleep(*slot) ? ", which has not come by to give them back: with "
                            "UMEMCG_WORKER=1 "
                            "it does so at once"
                          : ", which gives them back when it is asked"));
  }
  const int64_t ahead = stock_pages(g_segment, of.group);
  if (ahead >= kWorthPages) {
    advice->push_back(size_of(ahead) +
                      " are charged ahead by threads; the next charge that "
                      "fails takes them back");
  }
}

void advise_on_processes(const Explanation& of, std::vector<Advice>* advice) {
  const bool shrinkers_gave =
      !of.refusals.empty() &&
      of.refusals[0].got[static_cast<int>(Source::kShrinkers)] > 0;
  for (uint32_t i = 0; i < g_segment.processes_used(); ++i) {
    const ProcessSlot& slot = *g_segment.process(i);
    // acquire: pairs with the reaping of the process.
    const ProcessState state = slot.state.load(std::memory_order_acquire);
    if (state == ProcessState::kFree) continue;
    const int64_t pages = charged_in(g_segment, i, of.group);
    if (pages < kWorthPages) continue;
    if (state == ProcessState::kOrphaned) {
      advice->push_back(size_of(pages) + " are held by children of " +
                        name_of_process(i) + ", which has ended");
    } else if ((slot.flags.load(kRelaxed) & kProcessShrinkers) != 0 &&
               !shrinkers_gave) {
      advice->push_back("the shrinkers of " + name_of_process(i) +
                        (is_asleep(slot)
                             ? " were not reached: with UMEMCG_WORKER=1 they "
                               "are asked at once"
                             : " gave nothing at the last refusal"));
    }
  }
}

// What the others below the limit may keep whatever happens.
void advise_on_protection(const Explanation& of, std::vector<Advice>* advice) {
  for (const TreeEntry& entry : list_subtree(of.group)) {
    if (entry.group == of.group) continue;
    const PageCounter& counter = g_segment.group(entry.group)->memory;
    const int64_t kept = std::min(counter.min(), counter.usage());
    if (kept >= kWorthPages) {
      advice->push_back("memory.min of " + entry.path + " keeps " +
                        size_of(kept) + " from being reclaimed");
    }
  }
}

void advise_on_request(const Explanation& of, std::vector<Advice>* advice) {
  const auto last = std::find_if(of.refusals.begin(), of.refusals.end(),
                                 [](const RefusalView& refusal) {
                                   return !was_let_pass(refusal.outcome);
                                 });
  if (last == of.refusals.end() || of.policy != "fail") return;
  if (last->outcome != Outcome::kFailed) return;
  advice->push_back("memory.oom.policy of " + of.path +
                    " is fail: kill, callback and wait do something else");
}

Explanation explain(uint32_t group) {
  const Group& row = *g_segment.group(group);
  Text<64> policy;
  print_oom_policy(row, policy);
  Explanation of = {group,
                    path_of_group(group),
                    row.refusals.count.load(kRelaxed),
                    row.refusals.passed.load(kRelaxed),
                    row.memory.max(),
                    row.memory.usage(),
                    cached_in(group),
                    policy.c_str(),
                    {},
                    {},
                    {}};
  RefusalView views[kRefusals];
  const int count = read_refusals(row, views);
  of.refusals.assign(views, views + count);
  Consumer top[kConsumers];
  const uint32_t consumers = top_consumers(g_segment, group, top, kConsumers);
  of.consumers.assign(top, top + consumers);
  for (auto* advise : {advise_on_limit, advise_on_cached, advise_on_processes,
                       advise_on_protection, advise_on_request}) {
    advise(of, &of.advice);
  }
  return of;
}

}  // namespace

std::vector<Explanation> explain_subtree(uint32_t root) {
  std::vector<uint32_t> groups;
  for (uint32_t group = parent_group(g_segment, root);
       group != kNone && groups.size() <= kMaxDepth;
       group = parent_group(g_segment, group)) {
    groups.insert(groups.begin(), group);
  }
  for (const TreeEntry& entry : list_subtree(root)) {
    groups.push_back(entry.group);
  }
  std::vector<Explanation> explanations;
  for (uint32_t group : groups) {
    const RefusalLog& log = g_segment.group(group)->refusals;
    if (log.count.load(kRelaxed) != 0 || log.passed.load(kRelaxed) != 0) {
      explanations.push_back(explain(group));
    }
  }
  return explanations;
}

std::string path_of_id(uint64_t id) {
  for (uint32_t i = next_group(g_segment, kNone); i != kNone;
       i = next_group(g_segment, i)) {
    if (group_id(g_segment, i) == id) return path_of_group(i);
  }
  return "(removed)";
}

std::string name_of_process(uint32_t process) {
  Text<128> text;
  describe_process(g_segment, process, text);
  return text.c_str();
}

}  // namespace umemcg
