// Which processes of a domain live, asked once for all of them; and where their
// threads are.
#pragma once

#include <cstdint>

#include "accounting/process.h"
#include "accounting/segment.h"

namespace umemcg {

class LiveProcesses {
 public:
  explicit LiveProcesses(Segment& segment)
      : segment_(segment),
        namespace_(segment.is_private() ? 0 : own_pid_namespace()),
        known_(segment.processes_used()) {
    if (known_ > kMost) known_ = kMost;
    processes_alive(segment, alive_, known_);
  }
  LiveProcesses(const LiveProcesses&) = delete;
  LiveProcesses& operator=(const LiveProcesses&) = delete;

  bool has(uint32_t process) const {
    return process < known_ ? alive_[process]
                            : process_alive(segment_, process);
  }

  // The number of the process, or of a thread of it, as the caller may use it:
  // 0 in another pid namespace, as the kernel shows those.
  int32_t visible(uint32_t process, int32_t number) const {
    if (segment_.is_private()) return number;
    const ProcessSlot* slot = segment_.process(process);
    const bool here =
        slot != nullptr &&
        slot->pid_namespace.load(std::memory_order_relaxed) == namespace_;
    return here ? number : 0;
  }

 private:
  // On the stack, so not many; a table that is larger is asked one by one.
  static constexpr uint32_t kMost = 4096;

  Segment& segment_;
  const uint64_t namespace_;
  uint32_t known_;
  bool alive_[kMost];
};

// The group that the line's thread is in: what it was put into, or its
// process's. kNone if the line is free.
inline uint32_t group_of_line(Segment& segment, const StockLine& line) {
  const uint32_t owner = line.owner.load(std::memory_order_relaxed);
  const ProcessSlot* slot = segment.process(owner - 1);
  if (slot == nullptr) return kNone;
  const uint32_t tag = line.group.load(std::memory_order_relaxed);
  return tag != 0 ? tag - 1 : slot->group.load(std::memory_order_relaxed);
}

}  // namespace umemcg
