// Commands that go on until they are told to end: SIGINT and SIGTERM are
// noticed between two looks, so that what was begun is finished and the
// terminal put back.
#pragma once

#include <signal.h>

#include <cstdint>

namespace umemcg {

class Ending {
 public:
  // From now on. One at a time.
  Ending();
  // What was before.
  ~Ending();
  Ending(const Ending&) = delete;
  Ending& operator=(const Ending&) = delete;

  // Whether one of them has come.
  bool asked() const;

  // Waits until that moment (CLOCK_MONOTONIC), until the descriptor (below 0:
  // none) can be read, or until a signal comes. True if it can be read.
  bool wait(uint64_t until_ns, int fd = -1) const;

 private:
  struct sigaction interrupt_, terminate_;
};

}  // namespace umemcg
