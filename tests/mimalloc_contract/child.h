// Child processes of a fact: forked for what may crash, started anew for what
// needs another environment.

#ifndef UMEMCG_TESTS_MIMALLOC_CONTRACT_CHILD_H_
#define UMEMCG_TESTS_MIMALLOC_CONTRACT_CHILD_H_

#include <span>

namespace umemcg {

struct EnvironmentVariable {
  const char* name;
  const char* value;
};

// Runs a fact of this program in a new process that has these variables too.
// Returns its wait status.
int RunAgain(std::span<const EnvironmentVariable> variables,
             const char* fact_name);

// Runs the function in a forked child, which exits with 0 after it and with 1
// if something failed in it. Returns the child's wait status.
int RunForked(void (*function)());

// The signal that ended the child, or 0.
int SignalOf(int wait_status);

// Sleeps without the help of a heap.
void SleepMilliseconds(long milliseconds);

}  // namespace umemcg

#endif  // UMEMCG_TESTS_MIMALLOC_CONTRACT_CHILD_H_
