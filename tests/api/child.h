// Forked children in the tests of the public interface.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <thread>

#include "tests/api/support.h"

namespace api_test {

// Under `umemcg run` a child is a process of its own in the same tree; alone it
// goes on in a copy of it.
inline bool in_domain() { return std::getenv("UMEMCG_DOMAIN") != nullptr; }

// Whether `body` held in a forked child: it returns the number of the first
// check that did not, or 0.
template <typename Body>
int in_child(Body body) {
  const pid_t child = fork();
  if (child == 0) _exit(body());
  int status = -1;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// Until the group has no more than `most` bytes. A process that attaches to the
// tree sees to those that have ended, slow paths to groups that were removed.
inline bool wait_at_most(umemcg_group* group, int64_t most) {
  for (int i = 0; i < 200 && number(group, "memory.current") > most; ++i) {
    EXPECT_EQ(in_child([] { return path(nullptr).empty() ? 1 : 0; }), 0);
    umemcg_group_close(umemcg_group_open("/", 0));
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return number(group, "memory.current") <= most;
}

inline bool charged_to(void* block, const char* at) {
  const bool held = path(umemcg_owner(block)) == at;
  std::free(block);
  return held;
}

}  // namespace api_test
