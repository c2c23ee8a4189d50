#include "accounting/liveness.h"

#include <sys/mman.h>

#include <cerrno>

#include "accounting/file_lock.h"
#include "base/sys.h"
#include "base/units.h"

namespace umemcg {

LivenessFile::LivenessFile(Segment& segment) : segment_(segment) {
  if (!segment.is_private()) {
    fd_ = segment.open_file();
  }
}

LivenessFile::~LivenessFile() {
  if (fd_ >= 0) sys::close(fd_);
}

Remains LivenessFile::of(uint32_t process) const {
  if (segment_.is_private() || fd_ < 0) return Remains::kAlive;
  if (file_lock_held(fd_, slot_lock_offset(process))) return Remains::kAlive;
  return file_lock_held(fd_, family_lock_offset(process)) ? Remains::kFamily
                                                          : Remains::kNothing;
}

int OwnLocks::map(Held& held, const Segment& segment, bool forks_copy_it) {
  held.fd = segment.open_file();
  if (held.fd < 0) return -held.fd;
  int error = 0;
  held.page = sys::memory.map(nullptr, kPageSize, PROT_READ, MAP_SHARED,
                              held.fd, 0, &error);
  if (held.page == nullptr) return error;
  if (forks_copy_it) return 0;
  return sys::advise(held.page, kPageSize, MADV_DONTFORK);
}

int OwnLocks::prepare(const Segment& segment) {
  int error = map(alive_, segment, false);
  if (error == 0) error = map(family_, segment, true);
  if (error != 0) finish(false);
  return error;
}

bool OwnLocks::take(uint32_t process) {
  if (!file_lock_try(alive_.fd, slot_lock_offset(process))) return false;
  if (file_lock_try(family_.fd, family_lock_offset(process))) return true;
  file_unlock(alive_.fd, slot_lock_offset(process));
  return false;
}

void OwnLocks::finish(bool taken) {
  for (Held* held : {&alive_, &family_}) {
    if (held->fd >= 0) sys::close(held->fd);
    if (!taken && held->page != nullptr) sys::unmap(held->page, kPageSize);
    *held = Held();
  }
}

}  // namespace umemcg
