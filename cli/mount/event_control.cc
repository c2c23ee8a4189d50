#include "cli/mount/event_control.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <mutex>
#include <vector>

#include "accounting/listeners.h"
#include "accounting/size.h"
#include "base/sys.h"
#include "cli/mount/reaper.h"
#include "cli/mount/requester.h"
#include "cli/mount/watcher.h"

namespace umemcg::cgroupfs {
namespace {

constexpr uint64_t kCheckNs = 1'000'000'000;
// Nobody but the daemon may see that a process has ended.
constexpr uint64_t kReapNs = 50'000'000;

struct Registration {
  int own;  // the daemon's descriptor
  int32_t pid;
  int theirs;      // the number of the writer's
  std::string id;  // of the eventfd
};

std::mutex mutex;  // of what follows
std::vector<Registration> registrations;
uint64_t checked_ns = 0;
uint64_t reaped_ns = 0;  // of the watcher alone

struct Request {
  int eventfd = -1;
  int file = -1;
  std::string arguments;
};

// As the kernel takes it apart.
bool parse(std::string value, Request* request) {
  while (!value.empty() && std::strchr(" \n", value.back()) != nullptr) {
    value.pop_back();
  }
  const char* at = value.c_str();
  char* end;
  request->eventfd = static_cast<int>(std::strtoul(at, &end, 10));
  if (end == at || *end != ' ') return false;
  at = end + 1;
  request->file = static_cast<int>(std::strtoul(at, &end, 10));
  if (end == at || (*end != ' ' && *end != '\0')) return false;
  if (*end == ' ') request->arguments = end + 1;
  return true;
}

// The number of an eventfd in all the system, by which its copies are known;
// empty: it is none, or it cannot be told.
std::string eventfd_id(const std::string& process, int fd) {
  std::ifstream info("/proc/" + process + "/fdinfo/" + std::to_string(fd));
  for (std::string word, id; info >> word;) {
    if (word == "eventfd-id:" && info >> id) return id;
  }
  return "";
}

// The open file must be one of this mount, and of that group.
int node_of_file(int fd, const Node& control, Node* node) {
  struct stat info;
  if (::fstat(fd, &info) != 0) return errno;
  if (!g_watcher.shows(info)) return EINVAL;
  *node = node_of(info.st_ino);
  return node->group == control.group && node->id == control.id ? 0 : EINVAL;
}

int listen_to_size(ListenedGroup group, const std::string& bytes, int fd) {
  int64_t pages = kPageCounterMax;
  if (bytes != "-1" && parse_size(bytes.c_str(), &pages) != 0) return -EINVAL;
  return listen_to_threshold(group, pages, fd);
}

int listen_to_level(ListenedGroup group, const std::string& words, int fd) {
  constexpr const char* kModes[kPressureModes] = {"default", "hierarchy",
                                                  "local"};
  const size_t comma = words.find(',');
  const std::string level = words.substr(0, comma);
  const std::string mode =
      comma != std::string::npos ? words.substr(comma + 1) : kModes[0];
  for (int l = 0; l < kPressureLevels; ++l) {
    for (int m = 0; m < kPressureModes; ++m) {
      if (level == kPressureNames[l] && mode == kModes[m]) {
        return listen_to_pressure(group, static_cast<PressureLevel>(l),
                                  static_cast<PressureMode>(m), fd);
      }
    }
  }
  return -EINVAL;
}

// Whether somebody waits for memory there now, who is told at once.
bool under_oom(const Node& node) {
  char content[256];
  TextBuffer text(content, sizeof(content));
  row_of(node)->show(g_segment, node.group, text);
  return std::strstr(text.c_str(), "under_oom 1") != nullptr;
}

int listen(const Node& node, uint64_t id, const std::string& arguments,
           int fd) {
  const ListenedGroup group = {node.group, id};
  if (is_named(node, "memory.usage_in_bytes") ||
      is_named(node, "memory.memsw.usage_in_bytes")) {
    return listen_to_size(group, arguments, fd);
  }
  if (is_named(node, "memory.pressure_level")) {
    return listen_to_level(group, arguments, fd);
  }
  if (!is_named(node, "memory.oom_control")) return -EINVAL;
  const int result = listen_to_oom(group, fd);
  const uint64_t one = 1;
  if (result >= 0 && under_oom(node)) sys::write(fd, &one, sizeof(one));
  return result;
}

// Copies of the writer's descriptors, closed again unless they are kept.
class Copies {
 public:
  Copies(int32_t process, const Request& request)
      : pidfd_(sys::pidfd_open(process)) {
    if (pidfd_ < 0) return;
    eventfd_ = sys::pidfd_getfd(pidfd_, request.eventfd);
    file_ = sys::pidfd_getfd(pidfd_, request.file);
  }
  ~Copies() {
    for (const int fd : {pidfd_, eventfd_, file_}) {
      if (fd >= 0) sys::close(fd);
    }
  }
  Copies(const Copies&) = delete;
  Copies& operator=(const Copies&) = delete;

  // 0 or an error number.
  int error() const {
    for (const int fd : {pidfd_, eventfd_, file_}) {
      if (fd < 0) return -fd;
    }
    return 0;
  }
  int eventfd() const { return eventfd_; }
  int file() const { return file_; }
  void keep_eventfd() { eventfd_ = -1; }

 private:
  int pidfd_;
  int eventfd_ = -1;
  int file_ = -1;
};

void check_registrations() {
  std::erase_if(registrations, [](const Registration& registration) {
    if (eventfd_id(std::to_string(registration.pid), registration.theirs) ==
        registration.id) {
      return false;
    }
    stop_listening(registration.own);
    return true;
  });
}

}  // namespace

int add_event(const Node& node, const std::string& value, pid_t thread) {
  Request request;
  if (!parse(value, &request)) return EINVAL;
  const int32_t process = process_of_thread(thread);
  if (process == 0) return ESRCH;
  Copies copies(process, request);
  if (copies.error() != 0) return copies.error();
  const std::string id = eventfd_id("self", copies.eventfd());
  if (id.empty()) return EINVAL;
  Node file;
  const int error = node_of_file(copies.file(), node, &file);
  if (error != 0) return error;
  const uint64_t group = id_of(file);
  if (group == 0) return ENODEV;
  const std::lock_guard guard(mutex);
  const int result = listen(file, group, request.arguments, copies.eventfd());
  if (result < 0) return -result;
  registrations.push_back({copies.eventfd(), process, request.eventfd, id});
  copies.keep_eventfd();
  return 0;
}

bool look_at_events(uint64_t now_ns) {
  if (!any_listeners()) return false;
  if (now_ns - reaped_ns >= kReapNs) {
    reaped_ns = now_ns;
    reap_the_dead();
  }
  tell_listeners(now_ns);
  const std::lock_guard guard(mutex);
  if (now_ns - checked_ns >= kCheckNs) {
    checked_ns = now_ns;
    check_registrations();
  }
  return true;
}

}  // namespace umemcg::cgroupfs
