#include "cli/mount/open_file.h"

#include <poll.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "accounting/mem_cgroup.h"
#include "accounting/peak.h"
#include "base/sys.h"
#include "base/units.h"
#include "cli/control_text.h"
#include "cli/mount/event_control.h"
#include "cli/mount/reaper.h"
#include "cli/mount/watcher.h"

namespace umemcg::cgroupfs {
namespace {

// Of a file that can always be read and written; more if there is news.
constexpr unsigned kReady = POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM;
constexpr unsigned kNews = POLLERR | POLLPRI;

}  // namespace

OpenFile::~OpenFile() {
  if (peak_ >= 0) peak_close(g_segment, peak_);
  if (poll_ != nullptr) fuse_pollhandle_destroy(poll_);
}

int OpenFile::show(std::string* content) {
  if (!online(node_)) return ENODEV;
  if (row_.show == nullptr) return EINVAL;
  reap_the_dead();
  if (peak_ >= 0) {
    const int64_t pages = peak_read(g_segment, peak_);
    if (pages < 0) return static_cast<int>(-pages);
    *content = std::to_string(pages * static_cast<int64_t>(kPageSize)) + "\n";
    return 0;
  }
  *content = read_control_file(row_, node_.group);
  return 0;
}

int OpenFile::read(size_t size, off_t offset, std::string* part) {
  const std::lock_guard guard(mutex_);
  if (offset == 0 || !content_) {
    // What changes from here on is news to the reader.
    const uint32_t version = g_watcher.version(number_of(node_));
    std::string content;
    const int error = show(&content);
    if (error != 0) return error;
    content_ = std::move(content);
    seen_ = version;
  }
  const auto from = static_cast<size_t>(offset);
  if (from < content_->size()) *part = content_->substr(from, size);
  return 0;
}

int OpenFile::begin_peak() {
  const uint64_t id = id_of(node_);
  if (id == 0) return ENODEV;
  if (peak_ < 0) {
    const int reader = peak_open(g_segment, node_.group, id);
    if (reader < 0) return -reader;
    peak_ = reader;
  }
  return peak_reset(g_segment, peak_);
}

// One a file, as in the kernel.
int OpenFile::begin_trigger(const std::string& value) {
  if (trigger_) return EBUSY;
  unsigned threshold = 0, window = 0;
  PsiState state = kPsiSome;
  if (std::sscanf(value.c_str(), "some %u %u", &threshold, &window) != 2) {
    state = kPsiFull;
    if (std::sscanf(value.c_str(), "full %u %u", &threshold, &window) != 2) {
      return EINVAL;
    }
  }
  PsiTrigger trigger;
  const int error = psi_trigger_start(trigger, g_segment, node_.group, state,
                                      threshold, window, sys::monotonic_ns());
  if (error == 0) trigger_ = trigger;
  return error;
}

bool OpenFile::takes(const std::string& value, pid_t writer, int* error) {
  if (is_named(node_, "cgroup.event_control")) {
    *error = add_event(node_, value, writer);
    return true;
  }
  const std::lock_guard guard(mutex_);
  if (is_named(node_, "memory.peak")) {
    *error = begin_peak();
  } else if (is_named(node_, "memory.pressure")) {
    *error = begin_trigger(value);
  } else {
    return false;
  }
  return true;
}

bool OpenFile::has_trigger() {
  const std::lock_guard guard(mutex_);
  return trigger_.has_value();
}

unsigned OpenFile::poll(fuse_pollhandle* handle) {
  const std::lock_guard guard(mutex_);
  if (handle != nullptr) {
    if (poll_ != nullptr) fuse_pollhandle_destroy(poll_);
    poll_ = handle;
  }
  if (!online(node_)) return kReady | kNews;
  if (is_named(node_, "memory.pressure")) {
    if (!trigger_) return kReady | kNews;
    const bool fired = fired_;
    fired_ = false;
    return fired ? kReady | POLLPRI : kReady;
  }
  const bool news = seen_ != g_watcher.version(number_of(node_));
  return news ? kReady | kNews : kReady;
}

bool OpenFile::look(uint64_t now_ns) {
  const std::lock_guard guard(mutex_);
  if (!trigger_ || !online(node_)) return false;
  Group& group = *g_segment.group(node_.group);
  group.psi.triggers.store(1, std::memory_order_relaxed);
  // After a while of nothing the trigger wants to be asked when a stall begins.
  const uint64_t total =
      group.psi.total_us[trigger_->state].load(std::memory_order_relaxed);
  const bool stirs =
      psi_stalled(group.psi) != 0 || total != trigger_->start_total_us;
  if (now_ns < psi_trigger_next(*trigger_) && !(trigger_->idle && stirs)) {
    return false;
  }
  if (!psi_trigger_due(*trigger_, g_segment, node_.group, now_ns)) return false;
  fired_ = true;
  return true;
}

void OpenFile::tell() {
  const std::lock_guard guard(mutex_);
  if (poll_ != nullptr) fuse_lowlevel_notify_poll(poll_);
}

}  // namespace umemcg::cgroupfs
