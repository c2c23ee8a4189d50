// Worker processes that can be told to stop for a look, and to end.
#pragma once

#include <signal.h>
#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "tests/unit/support/child.h"

namespace umemcg::shared {

inline constexpr int kMostWorkers = 16;

// Shared with the workers.
struct Board {
  enum Phase : int { kWork, kHold, kEnd };

  std::atomic<int> phase;
  struct Place {
    std::atomic<int> holding;  // it has come to rest
    std::atomic<uint64_t> steps;
    std::atomic<uint64_t> waits;       // at the gate
    std::atomic<uint64_t> most_waits;  // in one charge
    std::atomic<uint64_t> longest_ns;  // a charge that waited
    std::atomic<int> failed;
    char failure[512];
  } places[kMostWorkers];
};

class Crew {
 public:
  // How workers die by themselves: at a label's passage (faults.h).
  struct Fate {
    const char* label = nullptr;
    uint32_t passage = 0;
    // What it does is short, and done eagerly; then it ends as it is.
    uint32_t steps = 0;
  };

  explicit Crew(int workers) : pids_(static_cast<size_t>(workers), 0) {}
  ~Crew();
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;

  int size() const { return static_cast<int>(pids_.size()); }
  // Forks the worker in that place.
  void start(int place, uint32_t seed);
  // A worker with a fate, waited for: whether it was killed. `meanwhile` is
  // called again and again.
  template <typename Function>
  bool run_doomed(uint32_t seed, const Fate& fate, Function meanwhile) {
    const pid_t pid = start_doomed(seed, fate);
    int status = 0;
    while (!ended(pid, &status)) meanwhile();
    return status == SIGKILL;
  }
  void kill(int place);

  // All come to rest between two steps; then their ledgers must be what they
  // hold. Adds to `failures` what is not.
  void hold(std::string& failures);
  void go_on() { board_->phase = Board::kWork; }
  // All give back what they hold (every second one just ends), and are waited
  // for.
  void end(std::string& failures);

  const Board::Place& place(int i) { return board_->places[i]; }
  uint64_t steps();

 private:
  pid_t start_doomed(uint32_t seed, const Fate& fate);
  // Waits for a moment; in *status the signal, or 0.
  static bool ended(pid_t pid, int* status);
  [[noreturn]] void work(int place, uint32_t seed, const Fate& fate);
  void collect(std::string& failures);

  std::vector<pid_t> pids_;
  test::Shared<Board> board_;
};

}  // namespace umemcg::shared
