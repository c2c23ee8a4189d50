// The locks that say which processes of a domain live (process.h).
#pragma once

#include <cstdint>

#include "accounting/segment.h"

namespace umemcg {

// What is left of the process in a slot.
enum class Remains { kAlive, kFamily, kNothing };

// The domain's file, opened once for many looks.
class LivenessFile {
 public:
  explicit LivenessFile(Segment& segment);
  ~LivenessFile();
  LivenessFile(const LivenessFile&) = delete;
  LivenessFile& operator=(const LivenessFile&) = delete;

  // False: nothing can be told, everybody counts as alive.
  bool open() const { return fd_ >= 0; }
  Remains of(uint32_t process) const;

 private:
  Segment& segment_;
  int fd_ = -1;
};

// The calling process's own locks, hanging on two mapped pages.
class OwnLocks {
 public:
  // Opens the file twice. 0 or an error number.
  int prepare(const Segment& segment);
  // Locks slot `process`; false if somebody else has one of the bytes.
  bool take(uint32_t process);
  // Leaves the locks on the pages, or (without a slot) nothing at all.
  void finish(bool taken);

 private:
  struct Held {
    int fd = -1;
    void* page = nullptr;
  };
  static int map(Held& held, const Segment& segment, bool forks_copy_it);

  Held alive_;
  Held family_;
};

}  // namespace umemcg
