#include "cli/mount/reaper.h"

#include "accounting/live_processes.h"
#include "accounting/mem_cgroup.h"
#include "accounting/process.h"

namespace umemcg::cgroupfs {

// Asking who has died needs no lock, as long as nobody has.
void reap_the_dead() {
  const LiveProcesses live(g_segment);
  for (uint32_t i = 0; i < g_segment.processes_used(); ++i) {
    // acquire: pairs with fill_slot() in process.cc.
    if (g_segment.process(i)->state.load(std::memory_order_acquire) ==
            ProcessState::kAttached &&
        !live.has(i)) {
      reap_dead_processes(g_segment);
      return;
    }
  }
}

}  // namespace umemcg::cgroupfs
