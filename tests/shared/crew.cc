#include "tests/shared/crew.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>

#include "base/sys.h"
#include "tests/shared/faults.h"
#include "tests/shared/workload.h"

namespace umemcg::shared {
namespace {

// Between two looks of a worker at its own ledgers.
constexpr uint64_t kStepsPerLook = 512;

void tell(Board::Place& place, const std::string& failure) {
  if (failure.empty() || place.failed != 0) return;
  std::snprintf(place.failure, sizeof(place.failure), "%s", failure.c_str());
  place.failed = 1;
}

void raise_to(std::atomic<uint64_t>& most, uint64_t value) {
  if (value > most) most = value;
}

// One step, with what it waited.
void step(Workload& workload, Board::Place& place) {
  const uint64_t waits = gate_waits();
  const uint64_t since = sys::monotonic_ns();
  const bool charge = workload.step();
  const uint64_t waited = gate_waits() - waits;
  ++place.steps;
  if (waited == 0) return;
  place.waits += waited;
  if (!charge) return;
  raise_to(place.most_waits, waited);
  raise_to(place.longest_ns, sys::monotonic_ns() - since);
}

// False: it is over.
bool obey(const Board& board, Board::Place& place, const Workload& workload) {
  if (board.phase == Board::kWork) return true;
  tell(place, const_cast<Workload&>(workload).disagreement());
  place.holding = 1;
  while (board.phase == Board::kHold) usleep(200);
  place.holding = 0;
  return board.phase == Board::kWork;
}

}  // namespace

Crew::~Crew() {
  for (int i = 0; i < size(); ++i) kill(i);
}

void Crew::work(int place, uint32_t seed, const Fate& fate) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  Board::Place& own = board_->places[place];
  own.holding = 0;
  const bool doomed = fate.steps != 0;
  die_at(fate.label, fate.passage);
  Workload workload(seed, doomed);
  const int error = workload.join();
  if (error != 0) {
    tell(own, "a worker cannot join: error " + std::to_string(error) + "\n");
    _exit(1);
  }
  if (doomed) {
    for (uint32_t i = 0; i < fate.steps; ++i) {
      workload.step();
      restore_limits();
    }
    _exit(0);
  }
  while (obey(*board_, own, workload)) {
    step(workload, own);
    if (own.steps % kStepsPerLook == 0) tell(own, workload.disagreement());
  }
  if (place % 2 == 0) workload.give_back();
  tell(own, workload.disagreement());
  _exit(0);
}

void Crew::start(int place, uint32_t seed) {
  const pid_t pid = fork();
  if (pid == 0) work(place, seed, Fate());
  pids_[static_cast<size_t>(place)] = pid;
}

pid_t Crew::start_doomed(uint32_t seed, const Fate& fate) {
  const pid_t pid = fork();
  if (pid == 0) work(kMostWorkers - 1, seed, fate);
  return pid;
}

bool Crew::ended(pid_t pid, int* status) {
  usleep(1000);
  const pid_t found = waitpid(pid, status, WNOHANG);
  if (found == 0) return false;
  *status = found == pid && WIFSIGNALED(*status) ? WTERMSIG(*status) : 0;
  return true;
}

void Crew::kill(int place) {
  pid_t& pid = pids_[static_cast<size_t>(place)];
  if (pid <= 0) return;
  ::kill(pid, SIGKILL);
  waitpid(pid, nullptr, 0);
  pid = 0;
}

void Crew::collect(std::string& failures) {
  for (Board::Place& place : board_->places) {
    if (place.failed == 0) continue;
    failures += place.failure;
    place.failed = 0;
  }
}

void Crew::hold(std::string& failures) {
  board_->phase = Board::kHold;
  for (int i = 0; i < size(); ++i) {
    const bool rests =
        test::wait_until([&] { return board_->places[i].holding != 0; });
    if (!rests) failures += "a worker does not come to rest\n";
  }
  collect(failures);
}

void Crew::end(std::string& failures) {
  board_->phase = Board::kEnd;
  for (pid_t& pid : pids_) {
    int status = 0;
    if (pid > 0) waitpid(pid, &status, 0);
    if (status != 0) {
      failures += "a worker ended with " + std::to_string(status) + "\n";
    }
    pid = 0;
  }
  collect(failures);
}

uint64_t Crew::steps() {
  uint64_t sum = 0;
  for (const Board::Place& place : board_->places) sum += place.steps;
  return sum;
}

}  // namespace umemcg::shared
