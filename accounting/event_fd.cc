#include "accounting/event_fd.h"

#include <sys/stat.h>

#include <cstring>

#include "base/errno_saver.h"
#include "base/sys.h"
#include "base/text.h"

namespace umemcg {
namespace {

uint64_t file_of(int fd) {
  ErrnoSaver saver;
  struct stat info;
  if (::fstat(fd, &info) != 0) return 0;
  return static_cast<uint64_t>(info.st_dev) << 40 ^ info.st_ino ^
         static_cast<uint64_t>(info.st_mode) << 24;
}

// "eventfd-id: 7" in /proc/self/fdinfo/N, + 1.
uint64_t id_of(int fd) {
  constexpr char kKey[] = "eventfd-id:";
  Text<64> path;
  path.text("/proc/self/fdinfo/").number(static_cast<uint64_t>(fd));
  char content[512];
  if (sys::read_file(path.c_str(), content, sizeof(content)) <= 0) return 0;
  const char* at = std::strstr(content, kKey);
  if (at == nullptr) return 0;
  at += sizeof(kKey) - 1;
  while (*at == ' ' || *at == '\t') ++at;
  uint64_t id = 0;
  for (; *at >= '0' && *at <= '9'; ++at) {
    id = id * 10 + static_cast<uint64_t>(*at - '0');
  }
  return id + 1;
}

// Where /proc does not tell any more (after chroot or setuid), the file alone
// has to do.
bool still_there(const EventFd& own) {
  if (own.file == 0 || file_of(own.fd) != own.file) return false;
  const uint64_t id = id_of(own.fd);
  return id == 0 || own.id == 0 || id == own.id;
}

// Programs get the lowest number that is free, so few of them come to these.
// (Not at the very end: the kernel's table is as long as its highest number.)
int out_of_the_way() {
  constexpr uint64_t kHighEnough = 900;
  const uint64_t most = sys::most_descriptors();
  return static_cast<int>(most > kHighEnough + 100 ? kHighEnough
                                                   : most * 7 / 8);
}

}  // namespace

int open_event_fd(EventFd* own) {
  const int theirs = sys::event_fd();
  if (theirs < 0) return theirs;
  own->fd = sys::duplicate(theirs, out_of_the_way());
  if (own->fd < 0) {
    sys::close(theirs);
    return own->fd;
  }
  *own = event_fd_of(own->fd);
  return theirs;
}

EventFd event_fd_of(int fd) { return {fd, file_of(fd), id_of(fd)}; }

bool signal_event_fd(const EventFd& own, uint64_t count) {
  if (!still_there(own)) return false;
  // One that is full is as readable as can be.
  sys::write(own.fd, &count, sizeof(count));
  return true;
}

void close_event_fd(const EventFd& own) {
  if (still_there(own)) sys::close(own.fd);
}

}  // namespace umemcg
