#include "accounting/held_process.h"

#include "accounting/liveness.h"
#include "accounting/process.h"
#include "base/sys.h"

namespace umemcg {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

bool attached(const ProcessSlot& slot) {
  // acquire: pairs with fill_slot() in process.cc.
  return slot.state.load(std::memory_order_acquire) == ProcessState::kAttached;
}

// Whether the slot's process is the one that has had that pid since before the
// call: who holds the slot's lock has its pid for as long. The slot may lie,
// and its lock be held by who wrote it: the process must be a member, too.
bool verify(Segment& segment, const MappedFile& domain, uint32_t process,
            int32_t pid) {
  const LivenessFile file(segment);
  const ProcessSlot& slot = *segment.process(process);
  const uint64_t here = own_pid_namespace();
  return file.open() && attached(slot) && slot.pid.load(kRelaxed) == pid &&
         slot.pid_namespace.load(kRelaxed) == here && here != 0 &&
         slot.start_time.load(kRelaxed) == process_start_time(pid) &&
         domain.mapped_by(pid) && file.of(process) == Remains::kAlive &&
         attached(slot);
}

}  // namespace

bool is_own_process(Segment& segment, uint32_t process) {
  return &segment == &g_segment && process == this_process() &&
         own_process() != nullptr;
}

HeldProcess::HeldProcess(Segment& segment, const MappedFile& domain,
                         uint32_t process) {
  const ProcessSlot* slot = segment.process(process);
  const int32_t pid = slot != nullptr ? slot->pid.load(kRelaxed) : 0;
  if (pid <= 1) return;
  const int fd = sys::pidfd_open(pid);
  if (fd < 0) return;
  if (verify(segment, domain, process, pid) && sys::pidfd_signal(fd, 0) == 0) {
    fd_ = fd;
  } else {
    sys::close(fd);
  }
}

HeldProcess::~HeldProcess() {
  if (fd_ >= 0) sys::close(fd_);
}

void HeldProcess::signal(int number) const { sys::pidfd_signal(fd_, number); }

}  // namespace umemcg
