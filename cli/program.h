// Finding the command to run, and saying when it cannot be accounted.
#pragma once

#include <string>

namespace umemcg {

struct Program {
  std::string path;
};

// Looks `name` up as a shell would. 0, or the exit status (127 not found, 126
// not executable) with one line on stderr. A program that LD_PRELOAD does not
// reach (statically linked, setuid or setgid) is found all the same, with a
// line that says so.
int find_program(const std::string& name, Program* program);

}  // namespace umemcg
