#include "cli/census.h"

#include <cstring>
#include <map>

#include "accounting/live_processes.h"
#include "accounting/segment.h"
#include "accounting/stock_word.h"

namespace umemcg {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr size_t kMostListed = 8;

// By ledger: what others took out of the stocks that name it.
std::map<uint32_t, int64_t> given_pages() {
  std::map<uint32_t, int64_t> given;
  auto count = [&given](const std::atomic<uint64_t>& bits) {
    const StockWord word(bits.load(kRelaxed));
    if (word.given() != 0) given[word.ledger()] += word.given();
  };
  for (uint32_t i = 0; i < g_segment.lines_used(); ++i) {
    const StockLine& line = *g_segment.line(i);
    for (const auto& slot : line.slots) count(slot);
    count(line.reservation);
  }
  return given;
}

std::vector<ChargeEntry> list_charges() {
  const std::map<uint32_t, int64_t> given = given_pages();
  std::vector<ChargeEntry> charges;
  for (uint32_t i = 0; i < g_segment.ledgers_used(); ++i) {
    const Ledger& ledger = *g_segment.ledger(i);
    const uint64_t owner = ledger.owner.load(kRelaxed);
    if (owner == 0) continue;
    const auto others = given.find(i);
    charges.push_back({owner_process(owner), owner_group(owner),
                       ledger.pages.load(kRelaxed) -
                           (others != given.end() ? others->second : 0)});
  }
  return charges;
}

std::vector<ThreadEntry> list_threads(const LiveProcesses& live) {
  std::vector<ThreadEntry> threads;
  for (uint32_t i = 0; i < g_segment.lines_used(); ++i) {
    const StockLine& line = *g_segment.line(i);
    const uint32_t owner = line.owner.load(kRelaxed);
    if (owner == 0 || !live.has(owner - 1)) continue;
    threads.push_back({live.visible(owner - 1, line.thread.load(kRelaxed)),
                       group_of_line(g_segment, line),
                       line.group.load(kRelaxed) != 0, owner - 1});
  }
  return threads;
}

}  // namespace

Census take_census() {
  const LiveProcesses live(g_segment);
  Census census{{}, list_threads(live), list_charges()};
  std::map<uint32_t, uint32_t> threads;
  for (const ThreadEntry& thread : census.threads) ++threads[thread.slot];
  std::map<uint32_t, int64_t> charged;
  for (const ChargeEntry& charge : census.charges) {
    charged[charge.slot] += charge.pages;
  }
  for (uint32_t i = 0; i < g_segment.processes_used(); ++i) {
    const ProcessSlot& slot = *g_segment.process(i);
    // acquire: pairs with the reaping of the process.
    const bool ended =
        slot.state.load(std::memory_order_acquire) == ProcessState::kOrphaned;
    if (!ended && !live.has(i)) continue;
    census.processes.push_back(
        {i, live.visible(i, slot.pid.load(kRelaxed)),
         std::string(slot.name, strnlen(slot.name, sizeof(slot.name))),
         slot.group.load(kRelaxed), threads[i], charged[i], ended});
  }
  return census;
}

std::string list_processes(const std::vector<ProcessEntry>& processes) {
  if (processes.empty()) return "";
  std::string text = std::to_string(processes.size()) +
                     (processes.size() == 1 ? " process:" : " processes:");
  for (size_t i = 0; i < processes.size() && i < kMostListed; ++i) {
    text +=
        (i == 0 ? " " : ", ") + std::to_string(processes[i].pid) + " (" +
        processes[i].name +
        (processes[i].ended ? ", ended; its children hold what it had)" : ")");
  }
  return processes.size() > kMostListed ? text + ", ..." : text;
}

}  // namespace umemcg
