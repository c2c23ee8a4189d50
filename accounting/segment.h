// A segment: the memory that holds a tree of groups, the processes in it and
// what each has charged. Private memory for a lone process, a file mapped by
// all for a domain; one code path for both.
//
// A Segment is this process's view: base and sizes are copied here when they
// have been checked, and every row is looked up by a checked index. What lies
// in the file is not trusted.
#pragma once

#include <cstddef>
#include <cstdint>

#include "accounting/layout.h"
#include "base/lock.h"

namespace umemcg {

struct SegmentSizes {
  uint32_t groups = 4096;
  uint32_t processes = 1024;
  uint32_t ledgers = 16384;
  uint32_t lines = 8192;
};

class Segment {
 public:
  constexpr Segment() = default;
  Segment(const Segment&) = delete;
  Segment& operator=(const Segment&) = delete;

  // Private memory with a fresh tree (the root group only); 0 or an error
  // number.
  int create_private(const SegmentSizes& sizes);

  // A new file at `path` (mode 0600), with a fresh tree, mapped; 0 or an error
  // number. EEXIST if there is one. It appears there whole or not at all.
  int create_file(const char* path, const SegmentSizes& sizes);

  // Maps the domain at `path`; 0, or an error number with *why saying what is
  // wrong with it.
  int attach_file(const char* path, const char** why);

  // Opens the mapped file once more: a descriptor, or a negative error number;
  // -ESTALE if it is another file that has the name now.
  int open_file() const;

  // Forgets the mapping (and unmaps it).
  void detach();

  bool mapped() const { return base_ != nullptr; }
  bool is_private() const { return path_[0] == '\0'; }
  const char* path() const { return path_; }

  SegmentHeader& header() { return *reinterpret_cast<SegmentHeader*>(base_); }
  uint32_t group_count() const { return sizes_.groups; }
  uint32_t process_count() const { return sizes_.processes; }
  uint32_t ledger_count() const { return sizes_.ledgers; }
  uint32_t line_count() const { return sizes_.lines; }
  // Rows that scans need to look at.
  uint32_t groups_used();
  uint32_t processes_used();
  uint32_t ledgers_used();
  uint32_t lines_used();

  // The row, or null if there is none of that index.
  Group* group(uint32_t index) {
    return index < sizes_.groups ? &groups_[index] : nullptr;
  }
  ProcessSlot* process(uint32_t index) {
    return index < sizes_.processes ? &processes_[index] : nullptr;
  }
  Ledger* ledger(uint32_t index) {
    return index < sizes_.ledgers ? &ledgers_[index] : nullptr;
  }
  StockLine* line(uint32_t index) {
    return index < sizes_.lines ? &lines_[index] : nullptr;
  }
  // The head of a chain of groups (index + 1) for the hash of a name.
  std::atomic<uint32_t>& bucket(uint32_t hash) {
    return buckets_[hash & bucket_mask_];
  }
  uint32_t bucket_count() const { return bucket_mask_ + 1; }
  // The group whose counter this is, or kNone.
  uint32_t group_of(const PageCounter* counter) const;

  // One change of the tree or the process table at a time (through
  // tree_change.h). A file's lock is the kernel's: it ends with its holder.
  // Waits at most `wait_ms`. False when it could not be had.
  bool lock(uint32_t wait_ms = 2000);
  void unlock();
  // In the child of a fork: whoever held the lock is not here.
  void reset_lock();

 private:
  void map_fresh(char* base, size_t total, const SegmentSizes& sizes);
  void set_view(char* base);
  int remember_file(int fd, const char* path);
  int remember_name(const char* path);
  const char* check_header(const SegmentHeader& header, size_t file_size);

  char* base_ = nullptr;
  Group* groups_ = nullptr;
  ProcessSlot* processes_ = nullptr;
  Ledger* ledgers_ = nullptr;
  StockLine* lines_ = nullptr;
  std::atomic<uint32_t>* buckets_ = nullptr;
  uint32_t bucket_mask_ = 0;
  SegmentSizes sizes_;
  size_t total_ = 0;
  Lock private_lock_;
  int lock_fd_ = -1;
  uint64_t device_ = 0;
  uint64_t inode_ = 0;
  char path_[512] = {};
};

// Bytes of a segment with these sizes.
size_t segment_bytes(const SegmentSizes& sizes);

// Where in the file the locks lie that say which process slots are alive: past
// the end, so that they never meet the tree's lock on byte 0.
constexpr int64_t slot_lock_offset(uint32_t process) {
  return (int64_t{1} << 40) + process;
}
constexpr int64_t family_lock_offset(uint32_t process) {
  return (int64_t{1} << 41) + process;
}

// The segment of this process.
extern Segment g_segment;

}  // namespace umemcg
