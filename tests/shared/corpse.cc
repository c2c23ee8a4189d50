// A process that is made to die: reaping and recounting have something to do.

#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "accounting/process.h"
#include "accounting/stat_line.h"
#include "stock/current.h"
#include "stock/stock.h"
#include "tests/shared/faults.h"
#include "tests/shared/workload.h"

namespace umemcg::shared {
namespace {

// Holds on to what was inherited, for a moment.
void leave_child() {
  if (fork() != 0) return;
  die_at(nullptr, 0);
  usleep(3000);
  _exit(0);
}

}  // namespace

void live_and_die(uint32_t seed) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  die_at(nullptr, 0);
  // What the thread had is its former process's.
  set_thread_line(nullptr);
  reservation_word().store(0);
  t_context = ThreadContext{};
  accounts_inherit();
  Workload workload(seed, false);
  if (workload.join() != 0) _exit(1);
  for (uint32_t i = 0; i < seed % 64; ++i) workload.step();
  if (seed % 4 == 0) leave_child();
  die_at(nullptr, 1 + seed % 200);
  for (int i = 0; i < 1000; ++i) workload.step();
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

}  // namespace umemcg::shared
