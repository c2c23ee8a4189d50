#include "accounting/mapped_file.h"

#include <fcntl.h>

#include "base/sys.h"
#include "base/text.h"

namespace umemcg {
namespace {

struct Mapping {
  uint64_t start;
  uint64_t end;
  bool shared;
  uint64_t device;
  uint64_t inode;
};

uint64_t digit(char c, uint64_t base) {
  if (c >= '0' && c <= '9') return static_cast<uint64_t>(c - '0');
  if (c >= 'a' && c <= 'f' && base == 16) {
    return static_cast<uint64_t>(c - 'a') + 10;
  }
  return base;
}

// Reads a number and the character behind it.
uint64_t number(const char** at, uint64_t base) {
  uint64_t value = 0;
  while (digit(**at, base) < base) value = value * base + digit(*(*at)++, base);
  if (**at != '\0') ++*at;
  return value;
}

// start-end rwxs offset major:minor inode ...
Mapping parse(const char* at) {
  Mapping mapping = {};
  mapping.start = number(&at, 16);
  mapping.end = number(&at, 16);
  for (; *at != '\0' && *at != ' '; ++at) mapping.shared = *at == 's';
  if (*at == ' ') ++at;
  number(&at, 16);
  const uint64_t major = number(&at, 16);
  mapping.device = major << 32 | number(&at, 16);
  mapping.inode = number(&at, 10);
  return mapping;
}

// The lines of /proc/PID/maps (0: the caller's), of which there may be many.
class Mappings {
 public:
  explicit Mappings(int32_t pid) {
    Text<64> path;
    path.text("/proc/");
    pid == 0 ? path.text("self") : path.signed_number(pid);
    fd_ = sys::open(path.text("/maps").c_str(), O_RDONLY);
  }
  ~Mappings() {
    if (fd_ >= 0) sys::close(fd_);
  }
  Mappings(const Mappings&) = delete;
  Mappings& operator=(const Mappings&) = delete;

  // False at the end.
  bool next(Mapping* mapping) {
    // The file's name, which is last, may be cut.
    Text<128> line;
    char c = '\0';
    while (get(&c) && c != '\n') line.character(c);
    *mapping = parse(line.c_str());
    return line.length() != 0;
  }

 private:
  bool get(char* c) {
    if (at_ == length_) {
      at_ = 0;
      const ssize_t got = fd_ >= 0 ? sys::read(fd_, text_, sizeof(text_)) : 0;
      length_ = got > 0 ? static_cast<size_t>(got) : 0;
      if (length_ == 0) return false;
    }
    *c = text_[at_++];
    return true;
  }

  int fd_;
  char text_[2048];
  size_t at_ = 0;
  size_t length_ = 0;
};

}  // namespace

MappedFile::MappedFile(Segment& segment) {
  if (segment.is_private()) return;
  const auto address = reinterpret_cast<uintptr_t>(&segment.header());
  Mapping mapping;
  for (Mappings own(0); own.next(&mapping);) {
    if (mapping.start <= address && address < mapping.end) {
      device_ = mapping.device;
      inode_ = mapping.inode;
      return;
    }
  }
}

bool MappedFile::mapped_by(int32_t pid) const {
  Mapping mapping;
  for (Mappings its(pid); inode_ != 0 && its.next(&mapping);) {
    if (mapping.shared && mapping.device == device_ &&
        mapping.inode == inode_) {
      return true;
    }
  }
  return false;
}

}  // namespace umemcg
