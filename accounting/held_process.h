// A process of a domain that is to get a signal: held by a pidfd first, and
// then looked at, so that nobody else can get it. It must have the slot's start
// time and pid namespace, and map the domain's file; and the lock must be held
// that says its slot is alive. One that cannot be verified or signalled
// (another pid namespace, no permission) is not held.
#pragma once

#include <cstdint>

#include "accounting/mapped_file.h"
#include "accounting/segment.h"

namespace umemcg {

// Whether the slot is the calling process's own.
bool is_own_process(Segment& segment, uint32_t process);

// `domain`: what the caller has mapped of the segment.
class HeldProcess {
 public:
  HeldProcess() = default;
  HeldProcess(Segment& segment, const MappedFile& domain, uint32_t process);
  ~HeldProcess();
  HeldProcess(const HeldProcess&) = delete;
  HeldProcess& operator=(const HeldProcess&) = delete;
  HeldProcess(HeldProcess&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  HeldProcess& operator=(HeldProcess&& other) noexcept {
    const int fd = fd_;
    fd_ = other.fd_;
    other.fd_ = fd;
    return *this;
  }

  bool held() const { return fd_ >= 0; }
  // REQUIRES: held().
  void signal(int number) const;

 private:
  int fd_ = -1;
};

}  // namespace umemcg
