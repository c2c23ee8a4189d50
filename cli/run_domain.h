// The segment of a run: a private domain that goes away with its last process,
// or one that the user named, which stays.
#pragma once

#include <string>

namespace umemcg {

class RunDomain {
 public:
  RunDomain() = default;
  // Removes a private domain, unless processes still run in it: the next run
  // removes it then.
  ~RunDomain();
  RunDomain(const RunDomain&) = delete;
  RunDomain& operator=(const RunDomain&) = delete;

  // Joins or makes the domain into g_segment; an empty name makes a private
  // one. Empty, or what went wrong.
  std::string open(const std::string& name);

  const std::string& path() const { return path_; }

  // Waits a moment for processes that are about to end (a command's helpers
  // often outlive it by a little), and gives back what the dead had charged.
  void settle();

 private:
  unsigned live_processes();

  std::string path_;
  bool private_ = false;
  int lock_fd_ = -1;
};

}  // namespace umemcg
