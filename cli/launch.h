// Running a command to its end: signals and the exit status pass through.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace umemcg {

struct Launch {
  std::string program;                 // path
  std::vector<std::string> arguments;  // argv, its name first
  std::vector<std::pair<std::string, std::string>> environment;  // set
};

// The command's exit status; 128 + N if signal N ended it; 126 or 127, with a
// line on stderr, if it could not be executed.
int launch_and_wait(const Launch& launch);

}  // namespace umemcg
