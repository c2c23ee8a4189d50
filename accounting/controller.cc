#include "accounting/controller.h"

#include <cstring>

namespace umemcg {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

void alloc_memory(Segment& segment, uint32_t index) {
  Group& group = *segment.group(index);
  Group* above = segment.group(group.parent.load(kRelaxed));
  group.memory.init(above != nullptr ? &above->memory : nullptr, true);
  group.kmem.init(above != nullptr ? &above->kmem : nullptr, false);
  group.sock.init(above != nullptr ? &above->sock : nullptr, false);
  group.high.store(kPageCounterMax, kRelaxed);
  group.refused_ms.store(0, kRelaxed);
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
  group.high.store(kPageCounterMax, kRelaxed);
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
