#include "cli/mount/requester.h"

#include <fstream>
#include <string>

namespace umemcg::cgroupfs {

int32_t process_of_thread(pid_t thread) {
  if (thread <= 0) return 0;
  std::ifstream status("/proc/" + std::to_string(thread) + "/status");
  for (std::string word; status >> word;) {
    int32_t process = 0;
    if (word == "Tgid:" && status >> process) return process;
  }
  return 0;
}

}  // namespace umemcg::cgroupfs
