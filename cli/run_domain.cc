#include "cli/run_domain.h"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <iostream>
#include <thread>

#include "accounting/domain.h"
#include "accounting/process.h"
#include "accounting/segment.h"

namespace umemcg {
namespace {

namespace fs = std::filesystem;

constexpr char kPrefix[] = "run-";
// `umemcg run` itself holds the byte before the first process's.
constexpr off_t kRunByte = slot_lock_offset(0) - 1;
// Made so recently, a domain may not be locked yet.
constexpr time_t kYoungSeconds = 10;

bool hold_byte(int fd) {
  struct flock lock = {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = kRunByte;
  lock.l_len = 1;
  return ::fcntl(fd, F_OFD_SETLK, &lock) == 0;
}

// Whether any process of the domain, or the `umemcg run` that made it, lives.
bool in_use(int fd) {
  struct flock lock = {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = kRunByte;
  lock.l_len = 0;  // and all after it
  return ::fcntl(fd, F_OFD_GETLK, &lock) != 0 || lock.l_type != F_UNLCK;
}

void remove_if_stale(const fs::path& path) {
  int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return;
  struct stat info;
  bool old = ::fstat(fd, &info) == 0 &&
             ::time(nullptr) - info.st_ctime > kYoungSeconds;
  if (old && !in_use(fd)) ::unlink(path.c_str());
  ::close(fd);
}

// Private domains whose runs were killed, or left processes that have ended.
void remove_stale_domains(const fs::path& folder) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (entry.path().filename().string().rfind(kPrefix, 0) != 0) continue;
    if (entry.is_regular_file(error)) remove_if_stale(entry.path());
  }
}

std::string private_name() {
  uint32_t random = 0;
  if (::getrandom(&random, sizeof(random), 0) < 0) random = 0;
  return kPrefix + std::to_string(::getpid()) + "-" + std::to_string(random);
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
    return "the domain " + chosen + " " + why + " (" + strerrordesc_np(error) +
           ")";
  }
  path_ = g_segment.path();
  if (!name.empty()) return "";
  private_ = true;
  lock_fd_ = ::open(path_.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
  if (lock_fd_ < 0 || !hold_byte(lock_fd_)) {
    return "the domain " + path_ + " cannot be locked (" +
           strerrordesc_np(errno) + ")";
  }
  remove_stale_domains(fs::path(path_).parent_path());
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
