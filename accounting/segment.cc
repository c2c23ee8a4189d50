#include "accounting/segment.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "accounting/controller.h"
#include "accounting/file_lock.h"
#include "accounting/stock_word.h"
#include "base/errno_saver.h"
#include "base/sys.h"
#include "base/text.h"
#include "base/units.h"

namespace umemcg {
namespace {

constexpr size_t kTableAlignment = kPageSize;

struct Offsets {
  size_t group, process, ledger, line, bucket, total;
};

// Chains of names: one a group, rounded up to a power of two.
uint32_t buckets_for(uint32_t groups) {
  uint32_t count = 16;
  while (count < groups) count *= 2;
  return count;
}

Offsets offsets_of(const SegmentSizes& sizes) {
  Offsets at;
  auto place = [](size_t start, size_t rows, size_t row_size) {
    return round_up(start + rows * row_size, kTableAlignment);
  };
  at.group = round_up(sizeof(SegmentHeader), kTableAlignment);
  at.process = place(at.group, sizes.groups, sizeof(Group));
  at.ledger = place(at.process, sizes.processes, sizeof(ProcessSlot));
  at.line = place(at.ledger, sizes.ledgers, sizeof(Ledger));
  at.bucket = place(at.line, sizes.lines, sizeof(StockLine));
  at.total = place(at.bucket, buckets_for(sizes.groups), sizeof(uint32_t));
  return at;
}

SegmentSizes sizes_of(const SegmentHeader& header) {
  return {header.groups, header.processes, header.ledgers, header.lines};
}

// No table is larger than this, so that no product of the header's numbers
// overflows.
constexpr uint32_t kMaxRows = kMostGroups;

// A file size limit below this would be answered by SIGXFSZ.
bool may_grow_to(size_t size) {
  rlimit limit;
  return ::getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur >= size;
}

char* map_file(int fd, size_t size, int* error) {
  return static_cast<char*>(sys::memory.map(
      nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0, error));
}

}  // namespace

constinit Segment g_segment;

size_t segment_bytes(const SegmentSizes& sizes) {
  return offsets_of(sizes).total;
}

void Segment::set_view(char* base) {
  Offsets at = offsets_of(sizes_);
  base_ = base;
  groups_ = reinterpret_cast<Group*>(base + at.group);
  processes_ = reinterpret_cast<ProcessSlot*>(base + at.process);
  ledgers_ = reinterpret_cast<Ledger*>(base + at.ledger);
  lines_ = reinterpret_cast<StockLine*>(base + at.line);
  buckets_ = reinterpret_cast<std::atomic<uint32_t>*>(base + at.bucket);
  bucket_mask_ = buckets_for(sizes_.groups) - 1;
  total_ = at.total;
}

// REQUIRES: `base` is zeroed memory that nobody else looks at yet.
void Segment::map_fresh(char* base, size_t total, const SegmentSizes& sizes) {
  Offsets at = offsets_of(sizes);
  sizes_ = sizes;
  set_view(base);
  SegmentHeader& h = header();
  h.version = kLayoutVersion;
  h.total_bytes = total;
  h.groups = sizes.groups;
  h.processes = sizes.processes;
  h.ledgers = sizes.ledgers;
  h.lines = sizes.lines;
  h.group_offset = at.group;
  h.process_offset = at.process;
  h.ledger_offset = at.ledger;
  h.line_offset = at.line;
  h.bucket_offset = at.bucket;
  h.buckets = bucket_count();
  Group& root = groups_[kRootGroup];
  root.parent.store(kNone, std::memory_order_relaxed);
  root.id.store(1, std::memory_order_relaxed);
  root.subtree_control.store(kControllerMemory, std::memory_order_relaxed);
  root.max_depth.store(kNone, std::memory_order_relaxed);
  root.max_descendants.store(kNone, std::memory_order_relaxed);
  for (const Controller& c : kControllerTable) c.alloc(*this, kRootGroup);
  root.state.store(GroupState::kOnline, std::memory_order_relaxed);
  h.groups_high.store(1, std::memory_order_relaxed);
  h.next_group_id.store(2, std::memory_order_relaxed);
  // release: pairs with the acquire in check_header().
  h.magic.store(kMagic, std::memory_order_release);
}

int Segment::create_private(const SegmentSizes& sizes) {
  size_t total = segment_bytes(sizes);
  int error = 0;
  void* base = sys::map_anonymous(total, PROT_READ | PROT_WRITE, &error);
  if (base == nullptr) return error;
  path_[0] = '\0';
  map_fresh(static_cast<char*>(base), total, sizes);
  return 0;
}

int Segment::create_file(const char* path, const SegmentSizes& sizes) {
  if (std::strlen(path) >= sizeof(path_)) return ENAMETOOLONG;
  // Made under a name of its own: whoever finds the domain finds it whole,
  // even if its maker was killed.
  Text<sizeof(path_) + 64> fresh;
  const char* slash = std::strrchr(path, '/');
  if (slash != nullptr) fresh.text(path, static_cast<size_t>(slash + 1 - path));
  fresh.text(".umemcg-").signed_number(sys::process_id());
  fresh.character('-').number(sys::monotonic_ns());
  int fd =
      sys::open(fresh.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
  if (fd < 0) return -fd;
  size_t total = segment_bytes(sizes);
  ErrnoSaver saver;
  // Backed at once: a file system that is full later must not end a host
  // process by SIGBUS when it touches a fresh row.
  int error = may_grow_to(total)
                  ? ::posix_fallocate(fd, 0, static_cast<off_t>(total))
                  : EFBIG;
  char* base = error == 0 ? map_file(fd, total, &error) : nullptr;
  sys::close(fd);
  if (base != nullptr) {
    map_fresh(base, total, sizes);
    error = ::link(fresh.c_str(), path) == 0 ? remember_name(path) : errno;
    if (error != 0) detach();
  }
  ::unlink(fresh.c_str());
  return error;
}

int Segment::remember_name(const char* path) {
  const int fd = sys::open(path, O_RDWR | O_NOFOLLOW);
  if (fd < 0) return -fd;
  const int error = remember_file(fd, path);
  sys::close(fd);
  return error;
}

// What is wrong with it, or null.
const char* Segment::check_header(const SegmentHeader& header,
                                  size_t file_size) {
  // acquire: pairs with the release in map_fresh().
  if (header.magic.load(std::memory_order_acquire) != kMagic) {
    return "is not a umemcg domain";
  }
  if (header.version != kLayoutVersion) {
    return header.version < kLayoutVersion
               ? "was made by an older umemcg; `umemcg rm --all` with its "
                 "--domain removes it"
               : "was made by a newer umemcg; use that version's library";
  }
  SegmentSizes sizes = sizes_of(header);
  if (sizes.groups == 0 || sizes.groups > kMaxRows ||
      sizes.processes > kMaxRows || sizes.ledgers > kMostLedgers ||
      sizes.lines > kMaxRows) {
    return "has impossible table sizes";
  }
  Offsets at = offsets_of(sizes);
  if (header.total_bytes != at.total || file_size != at.total) {
    return "is truncated or damaged";
  }
  sizes_ = sizes;
  return nullptr;
}

// With `path_` and the mapping belongs the file itself: it may be removed and
// made anew under its name.
int Segment::remember_file(int fd, const char* path) {
  ErrnoSaver saver;
  struct stat info;
  if (::fstat(fd, &info) != 0) return errno;
  device_ = info.st_dev;
  inode_ = info.st_ino;
  if (path[0] == '/') {
    std::strcpy(path_, path);
    return 0;
  }
  // The program may change its directory.
  Text<32> link;
  link.text("/proc/self/fd/").number(static_cast<uint64_t>(fd));
  const ssize_t length = ::readlink(link.c_str(), path_, sizeof(path_) - 1);
  if (length <= 0) return errno != 0 ? errno : ENAMETOOLONG;
  path_[length] = '\0';
  return path_[0] == '/' ? 0 : ENOENT;
}

int Segment::open_file() const {
  const int fd = sys::open(path_, O_RDWR | O_NOFOLLOW);
  if (fd < 0) return fd;
  ErrnoSaver saver;
  struct stat info;
  if (::fstat(fd, &info) == 0 && info.st_dev == device_ &&
      info.st_ino == inode_) {
    return fd;
  }
  sys::close(fd);
  return -ESTALE;
}

int Segment::attach_file(const char* path, const char** why) {
  *why = "cannot be opened";
  if (std::strlen(path) >= sizeof(path_)) return ENAMETOOLONG;
  int fd = sys::open(path, O_RDWR | O_NOFOLLOW);
  if (fd < 0) return -fd;
  ErrnoSaver saver;
  struct stat info;
  int error = ::fstat(fd, &info) == 0 ? 0 : errno;
  size_t size = error == 0 ? static_cast<size_t>(info.st_size) : 0;
  char* base = nullptr;
  if (error != 0 || !S_ISREG(info.st_mode)) {
    *why = "is not a regular file";
    error = EINVAL;
  } else if (info.st_uid != ::geteuid() && ::geteuid() != 0) {
    *why = "belongs to another user";
    error = EACCES;
  } else if ((info.st_mode & 077) != 0) {
    *why = "is open to other users: its mode must be 0600";
    error = EACCES;
  } else if (size < sizeof(SegmentHeader)) {
    *why = "is truncated or damaged";
    error = EINVAL;
  } else {
    *why = "cannot be mapped";
    error = remember_file(fd, path);
    if (error == 0) base = map_file(fd, size, &error);
  }
  sys::close(fd);
  if (base == nullptr) {
    path_[0] = '\0';
    return error;
  }
  *why = check_header(*reinterpret_cast<SegmentHeader*>(base), size);
  if (*why != nullptr) {
    sys::unmap(base, size);
    path_[0] = '\0';
    return EINVAL;
  }
  set_view(base);
  return 0;
}

void Segment::detach() {
  if (base_ != nullptr) sys::unmap(base_, total_);
  base_ = nullptr;
  sizes_ = {0, 0, 0, 0};
  path_[0] = '\0';
}

namespace {
// A high-water mark out of the segment, which may be damaged.
uint32_t bounded(const std::atomic<uint32_t>& high, uint32_t rows) {
  // acquire: pairs with the release in raise_high(), so the rows below are
  // initialised.
  uint32_t value = high.load(std::memory_order_acquire);
  return value < rows ? value : rows;
}
}  // namespace

uint32_t Segment::groups_used() {
  return bounded(header().groups_high, sizes_.groups);
}
uint32_t Segment::processes_used() {
  return bounded(header().processes_high, sizes_.processes);
}
uint32_t Segment::ledgers_used() {
  return bounded(header().ledgers_high, sizes_.ledgers);
}
uint32_t Segment::lines_used() {
  return bounded(header().lines_high, sizes_.lines);
}

uint32_t Segment::group_of(const PageCounter* counter) const {
  auto offset = reinterpret_cast<const char*>(counter) -
                reinterpret_cast<const char*>(groups_);
  if (offset < 0) return kNone;
  size_t index = static_cast<size_t>(offset) / sizeof(Group);
  return index < sizes_.groups ? static_cast<uint32_t>(index) : kNone;
}

bool Segment::lock(uint32_t wait_ms) {
  if (!private_lock_.lock_within(wait_ms)) return false;
  if (is_private()) return true;
  int fd = open_file();
  if (fd >= 0 && file_lock_within(fd, 0, wait_ms)) {
    lock_fd_ = fd;
    return true;
  }
  if (fd >= 0) sys::close(fd);
  private_lock_.unlock();
  return false;
}

// Unlocked before it is closed: a fork in between has made a copy of the
// descriptor, and closing this one would not end the lock.
void Segment::unlock() {
  if (lock_fd_ >= 0) {
    file_unlock(lock_fd_, 0);
    sys::close(lock_fd_);
  }
  lock_fd_ = -1;
  private_lock_.unlock();
}

void Segment::reset_lock() {
  if (lock_fd_ >= 0) sys::close(lock_fd_);
  lock_fd_ = -1;
  private_lock_.reset();
}

}  // namespace umemcg
