// The public interface: waiting for events, descriptors that tell of
// thresholds and pressure, and peaks of one's own.

#include <errno.h>
#include <stdint.h>

#include "accounting/event.h"
#include "accounting/listeners.h"
#include "accounting/mem_cgroup.h"
#include "accounting/peak.h"
#include "base/sys.h"
#include "base/units.h"
#include "include/umemcg/umemcg.h"
#include "shim/api_error.h"
#include "shim/group_handle.h"
#include "shim/worker.h"

namespace umemcg {
namespace {

static_assert(UMEMCG_PRESSURE_LOW == static_cast<int>(PressureLevel::kLow));
static_assert(UMEMCG_PRESSURE_MEDIUM ==
              static_cast<int>(PressureLevel::kMedium));
static_assert(UMEMCG_PRESSURE_CRITICAL ==
              static_cast<int>(PressureLevel::kCritical));
static_assert(UMEMCG_PRESSURE_DEFAULT ==
              static_cast<int>(PressureMode::kDefault));
static_assert(UMEMCG_PRESSURE_HIERARCHY ==
              static_cast<int>(PressureMode::kHierarchy));
static_assert(UMEMCG_PRESSURE_LOCAL == static_cast<int>(PressureMode::kLocal));

// The handle's group with its id. 0 or an error number. A handle that still
// names the group when the id has been read had that id all the time.
int group_and_id(umemcg_group* handle, ListenedGroup* group) {
  int error = group_behind(handle, &group->index);
  if (error != 0) return error;
  group->id = group_id(g_segment, group->index);
  uint32_t again = kNone;
  error = group_behind(handle, &again);
  if (error != 0) return error;
  return again == group->index ? 0 : ENODEV;
}

// Makes a listener with `listen(group)`, and sees to a worker.
template <typename Listen>
int listen(umemcg_group* handle, Listen listen_to) {
  ListenedGroup group;
  const int error = group_and_id(handle, &group);
  if (error != 0) return fail(error);
  const int fd = listen_to(group);
  if (fd < 0) return fail(-fd);
  if (start_worker()) return fd;
  stop_listening(fd);
  sys::close(fd);
  return fail(EAGAIN);
}

int wait(umemcg_group* handle, uint64_t* seen, int timeout_ms) {
  constexpr uint64_t kNsPerMs = 1'000'000;
  ListenedGroup group;
  int error = group_and_id(handle, &group);
  if (error != 0) return error;
  const uint64_t timeout_ns =
      timeout_ms < 0 ? UINT64_MAX
                     : static_cast<uint64_t>(timeout_ms) * kNsPerMs;
  error = wait_for_event(g_segment, group.index, group.id, *seen, timeout_ns);
  if (error == 0) *seen = event_generation(g_segment, group.index);
  return error;
}

int result_of(int error) { return error == 0 ? 0 : fail(error); }

}  // namespace
}  // namespace umemcg

using umemcg::accounted;
using umemcg::fail;
using umemcg::g_segment;
using umemcg::ListenedGroup;
using umemcg::PressureLevel;
using umemcg::PressureMode;

extern "C" {

UMEMCG_EXPORT int umemcg_events_wait(umemcg_group* group, uint64_t* seen,
                                     int timeout_ms) {
  if (seen == nullptr) return fail(EINVAL);
  return umemcg::result_of(umemcg::wait(group, seen, timeout_ms));
}

UMEMCG_EXPORT int umemcg_threshold_fd(umemcg_group* group, size_t bytes) {
  const auto pages = static_cast<int64_t>(bytes >> umemcg::kPageShift);
  return umemcg::listen(group, [=](ListenedGroup of) {
    return umemcg::listen_to_threshold(of, pages);
  });
}

UMEMCG_EXPORT int umemcg_pressure_fd(umemcg_group* group, int level, int mode) {
  if (level < 0 || level >= umemcg::kPressureLevels) return fail(EINVAL);
  if (mode < 0 || mode >= umemcg::kPressureModes) return fail(EINVAL);
  return umemcg::listen(group, [=](ListenedGroup of) {
    return umemcg::listen_to_pressure(of, static_cast<PressureLevel>(level),
                                      static_cast<PressureMode>(mode));
  });
}

UMEMCG_EXPORT int umemcg_psi_fd(umemcg_group* group, int full,
                                unsigned stall_us, unsigned window_us) {
  const auto state = full != 0 ? umemcg::kPsiFull : umemcg::kPsiSome;
  return umemcg::listen(group, [=](ListenedGroup of) {
    return umemcg::listen_to_psi(of, state, stall_us, window_us);
  });
}

UMEMCG_EXPORT int umemcg_unlisten(int fd) {
  if (!accounted()) return fail(ENODEV);
  return umemcg::result_of(umemcg::stop_listening(fd));
}

UMEMCG_EXPORT int umemcg_peak_open(umemcg_group* group) {
  ListenedGroup of;
  const int error = umemcg::group_and_id(group, &of);
  if (error != 0) return fail(error);
  const int peak = umemcg::peak_open(g_segment, of.index, of.id);
  return peak >= 0 ? peak : fail(-peak);
}

UMEMCG_EXPORT int64_t umemcg_peak_read(int peak) {
  if (!accounted()) return fail(ENODEV);
  const int64_t pages = umemcg::peak_read(g_segment, peak);
  if (pages < 0) return fail(static_cast<int>(-pages));
  return pages << umemcg::kPageShift;
}

UMEMCG_EXPORT int umemcg_peak_reset(int peak) {
  if (!accounted()) return fail(ENODEV);
  return umemcg::result_of(umemcg::peak_reset(g_segment, peak));
}

UMEMCG_EXPORT int umemcg_peak_close(int peak) {
  if (!accounted()) return fail(ENODEV);
  return umemcg::result_of(umemcg::peak_close(g_segment, peak));
}

}  // extern "C"
