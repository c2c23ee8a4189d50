#include "cli/process_maps.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <fstream>

#include "base/units.h"

namespace umemcg {
namespace {

// Of /proc/PID/pagemap: the page is in memory.
constexpr uint64_t kPresent = uint64_t{1} << 63;
// Pages that are looked up at once.
constexpr size_t kBatch = 4096;

std::string proc_path(pid_t pid, const char* file) {
  return "/proc/" + std::to_string(pid) + "/" + file;
}

// "7f5f2000-7f5f3000 rw-p 00000000 fe:00 18624   /usr/lib/libc.so.6"
bool read_heading(const std::string& line, Mapping* mapping) {
  int name = 0;
  if (std::sscanf(line.c_str(), "%lx-%lx %4s %*x %*x:%*x %lu %n",
                  &mapping->start, &mapping->end, mapping->access,
                  &mapping->inode, &name) < 4 ||
      name == 0) {
    return false;
  }
  mapping->name = line.substr(static_cast<size_t>(name));
  return true;
}

}  // namespace

int read_mappings(pid_t pid, bool resident, std::vector<Mapping>* mappings) {
  mappings->clear();
  errno = 0;
  std::ifstream file(proc_path(pid, resident ? "smaps" : "maps"));
  for (std::string line; std::getline(file, line);) {
    Mapping mapping;
    int64_t kilobytes;
    if (read_heading(line, &mapping)) {
      mappings->push_back(mapping);
    } else if (!mappings->empty() &&
               std::sscanf(line.c_str(), "Rss: %ld kB", &kilobytes) == 1) {
      mappings->back().resident = kilobytes << 10;
    }
  }
  if (!mappings->empty()) return 0;
  // (A file that cannot be read is one without a line.)
  return errno == EACCES || errno == EPERM ? EACCES : ESRCH;
}

std::string advice_on_reading(int error) {
  switch (error) {
    case EPERM:
    case EACCES:
      return "its memory may be read by its own user, where kernel.yama."
             "ptrace_scope is 0, and by root";
    case ESRCH:
      return "it has ended";
    default:
      return "it does not tell where its page table is, or is just starting "
             "or ending; try again";
  }
}

ResidentPages::~ResidentPages() {
  if (fd_ >= 0) ::close(fd_);
}

int ResidentPages::open(pid_t pid) {
  fd_ = ::open(proc_path(pid, "pagemap").c_str(), O_RDONLY | O_CLOEXEC);
  return fd_ >= 0 ? 0 : errno;
}

bool ResidentPages::has(uint64_t address) {
  const uint64_t page = address >> kPageShift;
  if (page < first_ || page - first_ >= words_.size()) {
    words_.resize(kBatch);
    const ssize_t got = ::pread(fd_, words_.data(), kBatch * sizeof(uint64_t),
                                static_cast<off_t>(page * sizeof(uint64_t)));
    words_.resize(got > 0 ? static_cast<size_t>(got) / sizeof(uint64_t) : 0);
    first_ = page;
  }
  return page - first_ < words_.size() &&
         (words_[page - first_] & kPresent) != 0;
}

}  // namespace umemcg
