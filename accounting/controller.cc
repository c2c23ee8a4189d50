#include "accounting/controller.h"

#include <cstring>

namespace umemcg {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

void reset_memory_settings(Group& group) {
  group.high.store(kPageCounterMax, kRelaxed);
  group.soft_limit.store(kPageCounterMax, kRelaxed);
  group.swap_high.store(kPageCounterMax, kRelaxed);
  group.swap_max.store(kPageCounterMax, kRelaxed);
  group.memsw_max.store(kPageCounterMax, kRelaxed);
  group.oom_group.store(0, kRelaxed);
}

template <typename... Words>
void clear(Words&... words) {
  (words.store({}, kRelaxed), ...);
}

// What a row's last group has left. (event_seq goes on: somebody may still
// wait for it.)
void forget_history(Group& group) {
  clear(group.reclaim_seq, group.reclaim_acks, group.reclaim_ms,
        group.reclaim_pages, group.thresholds, group.waiting_ms);
  for (SourceCounts& source : group.sources) {
    clear(source.scanned, source.reclaimed, source.ns);
  }
  VmPressure& pressure = group.pressure;
  clear(pressure.window, pressure.listeners);
  for (auto& windows : pressure.windows) clear(windows);
  PsiGroup& psi = group.psi;
  clear(psi.lease, psi.state, psi.looked_us, psi.averaged_us, psi.disabled,
        psi.triggers);
  for (int i = 0; i < kPsiStates; ++i) {
    clear(psi.total_us[i], psi.averaged_total_us[i]);
    for (auto& average : psi.average[i]) clear(average);
  }
  clear(group.refusals.count);
  clear(group.refusals.passed);
  for (Refusal& entry : group.refusals.entries) clear(entry.sequence);
}

// vm.swappiness.
constexpr uint32_t kSwappiness = 60;

void alloc_memory(Segment& segment, uint32_t index) {
  Group& group = *segment.group(index);
  Group* above = segment.group(group.parent.load(kRelaxed));
  group.memory.init(above != nullptr ? &above->memory : nullptr, true);
  group.kmem.init(above != nullptr ? &above->kmem : nullptr, false);
  group.sock.init(above != nullptr ? &above->sock : nullptr, false);
  group.refused_ms.store(0, kRelaxed);
  reset_memory_settings(group);
  // Who decides for a subtree decides for what is made in it later.
  const OomPolicy policy =
      above != nullptr ? above->oom_policy.load(kRelaxed) : OomPolicy::kFail;
  group.oom_policy.store(policy, kRelaxed);
  group.oom_wait_ms.store(
      above != nullptr ? above->oom_wait_ms.load(kRelaxed) : 0, kRelaxed);
  group.swappiness.store(
      above != nullptr ? above->swappiness.load(kRelaxed) : kSwappiness,
      kRelaxed);
  forget_history(group);
}

void do_nothing(Segment&, uint32_t) {}

// What is on its way out protects nothing any more.
void offline_memory(Segment& segment, uint32_t index) {
  PageCounter& memory = segment.group(index)->memory;
  memory.set_min(0);
  memory.set_low(0);
}

void reset_memory(Segment& segment, uint32_t index) {
  Group& group = *segment.group(index);
  offline_memory(segment, index);
  group.memory.store_max(kPageCounterMax);
  group.memory.set_reserve(0);
  group.kmem.store_max(kPageCounterMax);
  group.sock.store_max(kPageCounterMax);
  reset_memory_settings(group);
}

}  // namespace

constexpr Controller kControllerTable[kControllers] = {
    {"memory", kControllerMemory, alloc_memory, do_nothing, offline_memory,
     do_nothing, reset_memory},
};

const Controller* find_controller(const char* name, size_t length) {
  for (const Controller& controller : kControllerTable) {
    if (std::strlen(controller.name) == length &&
        std::memcmp(controller.name, name, length) == 0) {
      return &controller;
    }
  }
  return nullptr;
}

}  // namespace umemcg
