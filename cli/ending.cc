#include "cli/ending.h"

#include <poll.h>

#include <ctime>

#include "base/sys.h"

namespace umemcg {
namespace {

volatile sig_atomic_t signalled = 0;

void note(int) { signalled = 1; }

constexpr uint64_t kSecond = 1'000'000'000;

}  // namespace

// Without SA_RESTART: waits end.
Ending::Ending() {
  signalled = 0;
  struct sigaction action = {};
  action.sa_handler = note;
  ::sigaction(SIGINT, &action, &interrupt_);
  ::sigaction(SIGTERM, &action, &terminate_);
}

Ending::~Ending() {
  ::sigaction(SIGINT, &interrupt_, nullptr);
  ::sigaction(SIGTERM, &terminate_, nullptr);
}

bool Ending::asked() const { return signalled != 0; }

bool Ending::wait(uint64_t until_ns, int fd) const {
  sigset_t both, before;
  sigemptyset(&both);
  sigaddset(&both, SIGINT);
  sigaddset(&both, SIGTERM);
  // Blocked but for the wait itself, so that none comes between the look and
  // the wait.
  ::sigprocmask(SIG_BLOCK, &both, &before);
  bool ready = false;
  const uint64_t now = sys::monotonic_ns();
  if (!asked()) {
    const uint64_t left = until_ns > now ? until_ns - now : 0;
    const timespec time = {static_cast<time_t>(left / kSecond),
                           static_cast<long>(left % kSecond)};
    pollfd input = {fd, POLLIN, 0};
    ready = ::ppoll(&input, 1, &time, &before) > 0;
  }
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
  return ready;
}

}  // namespace umemcg
