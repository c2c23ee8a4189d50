#include "cli/run_domain.h"

#include <fcntl.h>
#include <sys/random.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <iostream>
#include <thread>

#include "accounting/domain.h"
#include "accounting/process.h"
#include "accounting/segment.h"
#include "cli/command.h"
#include "cli/domain_file.h"

namespace umemcg {
namespace {

namespace fs = std::filesystem;

std::string private_name() {
  uint32_t random = 0;
  if (::getrandom(&random, sizeof(random), 0) < 0) random = 0;
  return kRunPrefix + std::to_string(::getpid()) + "-" + std::to_string(random);
}

}  // namespace

RunDomain::~RunDomain() {
  if (private_) {
    unsigned left = live_processes();
    if (left == 0) {
      ::unlink(path_.c_str());
    } else {
      std::cerr << "umemcg: " << left << (left == 1 ? " process" : " processes")
                << " of the command still run; their domain stays at " << path_
                << '\n';
    }
  }
  if (lock_fd_ >= 0) ::close(lock_fd_);
}

std::string RunDomain::open(const std::string& name) {
  const std::string chosen = name.empty() ? private_name() : name;
  const char* why = "cannot be made";
  int error = join_domain(g_segment, chosen.c_str(), &why);
  if (error != 0) {
    return no_domain_text(chosen, why, error);
  }
  path_ = g_segment.path();
  if (!name.empty()) return "";
  private_ = true;
  lock_fd_ = ::open(path_.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
  if (lock_fd_ < 0 || !hold_domain(lock_fd_)) {
    return "the domain " + path_ + " cannot be locked (" +
           strerrordesc_np(errno) + ")";
  }
  remove_stale_domains(fs::path(path_).parent_path().string());
  return "";
}

void RunDomain::settle() {
  using namespace std::chrono_literals;
  for (int i = 0; i < 50 && private_ && live_processes() != 0; ++i) {
    std::this_thread::sleep_for(10ms);
  }
  reap_dead_processes(g_segment);
}

unsigned RunDomain::live_processes() {
  reap_dead_processes(g_segment);
  unsigned live = 0;
  for (uint32_t i = 0; i < g_segment.processes_used(); ++i) {
    live += process_alive(g_segment, i);
  }
  return live;
}

}  // namespace umemcg
