#include "tests/mimalloc_contract/child.h"

#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>

#include "tests/mimalloc_contract/fact.h"

namespace umemcg {
namespace {

constexpr int kCannotRun = 127;

int WaitFor(pid_t child) {
  int status = -1;
  while (waitpid(child, &status, 0) != child) {
  }
  return status;
}

}  // namespace

int RunAgain(std::span<const EnvironmentVariable> variables,
             const char* fact_name) {
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    for (const EnvironmentVariable& variable : variables) {
      setenv(variable.name, variable.value, 1);
    }
    execl("/proc/self/exe", "mimalloc_contract_probe", fact_name, nullptr);
    _exit(kCannotRun);
  }
  return child > 0 ? WaitFor(child) : -1;
}

int RunForked(void (*function)()) {
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    const int failures_before = FailureCount();
    function();
    std::fflush(nullptr);
    _exit(FailureCount() > failures_before ? 1 : 0);
  }
  return child > 0 ? WaitFor(child) : -1;
}

int SignalOf(int wait_status) {
  return WIFSIGNALED(wait_status) ? WTERMSIG(wait_status) : 0;
}

void SleepMilliseconds(long milliseconds) {
  timespec left = {.tv_sec = milliseconds / 1000,
                   .tv_nsec = milliseconds % 1000 * 1'000'000};
  while (nanosleep(&left, &left) != 0) {
  }
}

}  // namespace umemcg
