#include "accounting/listeners.h"

#include <cerrno>

#include "accounting/event_fd.h"
#include "accounting/mem_cgroup.h"
#include "accounting/notify.h"
#include "accounting/psi_trigger.h"
#include "base/lock.h"
#include "base/sys.h"

namespace umemcg {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr auto kSeqCst = std::memory_order_seq_cst;

enum class Kind : uint8_t { kFree, kThreshold, kPressure, kPsi, kOom };

// A free one is all zero.
struct Listener {
  Kind kind = Kind::kFree;
  int fd = 0;  // the program's
  EventFd own;
  ListenedGroup group = {};
  int64_t threshold = 0;  // pages
  bool above = false;     // the usage was, at the last look
  PressureLevel from = PressureLevel::kLow;
  PressureMode mode = PressureMode::kDefault;
  PsiTrigger trigger = {};
  uint64_t ooms = 0;  // at the last look

  bool online() const {
    return group_id(g_segment, group.index) == group.id &&
           group_online(g_segment, group.index);
  }
  Group& row() const { return *g_segment.group(group.index); }
  uint32_t pressure() const { return pressure_bit(from, mode); }
};

// All that follows is protected by the lock, but for the count.
constinit Lock table_lock;
constinit Listener table[kMostListeners];
constinit int table_used = 0;  // no row from here on is in use
constinit PressureWindows windows;
constinit std::atomic<int> listener_count{0};

template <typename Function>
void for_listeners(Function function) {
  for (int i = 0; i < table_used; ++i) {
    if (table[i].kind != Kind::kFree) function(table[i]);
  }
}

void drop(Listener& listener) {
  close_event_fd(listener.own);
  listener = Listener();
  listener_count.fetch_sub(1, kSeqCst);
}

// Gone if its descriptor is.
void tell(Listener& listener, uint64_t count) {
  if (!signal_event_fd(listener.own, count)) drop(listener);
}

// Whoever charges, reclaims or stalls is to call for looks.
void mark(const Listener& listener) {
  Group& row = listener.row();
  switch (listener.kind) {
    case Kind::kThreshold:
      row.thresholds.store(1, kRelaxed);
      g_segment.header().thresholds.store(1, kRelaxed);
      break;
    case Kind::kPressure:
      row.pressure.listeners.fetch_or(listener.pressure(), kRelaxed);
      break;
    case Kind::kPsi:
      row.psi.triggers.store(1, kRelaxed);
      break;
    case Kind::kOom:
    case Kind::kFree:
      break;
  }
}

// mem_cgroup_oom_notify tells the whole subtree of the group that is full.
uint64_t ooms_above(uint32_t group) {
  uint64_t count = 0;
  for (int depth = 0; depth <= kMaxDepth && group != kNone; ++depth) {
    const Group* row = g_segment.group(group);
    if (row == nullptr) break;
    count += row->events_local[static_cast<int>(Event::kOom)].load(kRelaxed);
    group = parent_group(g_segment, group);
  }
  return count;
}

void tell_oom(Listener& listener) {
  const uint64_t ooms = ooms_above(listener.group.index);
  const bool more = ooms != listener.ooms;
  listener.ooms = ooms;
  if (more) tell(listener, 1);
}

void tell_threshold(Listener& listener) {
  const bool above = listener.row().memory.usage() >= listener.threshold;
  if (above == listener.above) return;
  listener.above = above;
  tell(listener, 1);
}

void tell_psi(Listener& listener, uint64_t now_ns) {
  if (psi_trigger_due(listener.trigger, g_segment, listener.group.index,
                      now_ns)) {
    tell(listener, 1);
  }
}

// Windows of that level have ended in the group.
void tell_windows(uint32_t group, PressureLevel level, uint64_t count) {
  PressureDelivery delivery(level);
  for (int depth = 0; depth <= kMaxDepth && group != kNone; ++depth) {
    const Group* row = g_segment.group(group);
    if (row == nullptr) return;
    const uint32_t listeners = row->pressure.listeners.load(kRelaxed);
    for_listeners([&](Listener& listener) {
      if (listener.kind == Kind::kPressure && listener.group.index == group &&
          delivery.reaches(listener.from, listener.mode)) {
        tell(listener, count);
      }
    });
    delivery.go_up(listeners);
    group = parent_group(g_segment, group);
  }
}

// REQUIRES: the lock.
void look(uint64_t now_ns) {
  for_listeners([](Listener& listener) {
    if (listener.online()) {
      mark(listener);
      return;
    }
    signal_event_fd(listener.own, 1);
    drop(listener);
  });
  if (windows.begun()) windows.look(g_segment, tell_windows);
  for_listeners([&](Listener& listener) {
    if (listener.kind == Kind::kThreshold) tell_threshold(listener);
    if (listener.kind == Kind::kPsi) tell_psi(listener, now_ns);
    if (listener.kind == Kind::kOom) tell_oom(listener);
  });
}

// Of two with one descriptor the older has been closed without a word.
void drop_namesake(int fd) {
  for_listeners([fd](Listener& listener) {
    if (listener.fd == fd) drop(listener);
  });
}

Listener* free_row() {
  for (int i = 0; i < kMostListeners; ++i) {
    if (table[i].kind != Kind::kFree) continue;
    if (i >= table_used) table_used = i + 1;
    return &table[i];
  }
  return nullptr;
}

// Takes a row for what `listener` says and opens its descriptor.
// REQUIRES: the lock.
int add(Listener listener, int given) {
  if (given == kNewEventFd) {
    listener.fd = open_event_fd(&listener.own);
  } else {
    listener.fd = given;
    listener.own = event_fd_of(given);
  }
  if (listener.fd < 0) return listener.fd;
  drop_namesake(listener.fd);
  Listener* row = free_row();
  if (row == nullptr) {
    if (given != kNewEventFd) return -ENOSPC;
    close_event_fd(listener.own);
    sys::close(listener.fd);
    return -ENOSPC;
  }
  *row = listener;
  // seq_cst: pairs with any_listeners().
  listener_count.fetch_add(1, kSeqCst);
  mark(*row);
  return listener.fd;
}

}  // namespace

// The mark comes first: a charge that does not see it is seen here.
int listen_to_threshold(ListenedGroup group, int64_t pages, int given) {
  LockGuard guard(table_lock);
  Listener listener;
  listener.kind = Kind::kThreshold;
  listener.group = group;
  listener.threshold = pages;
  mark(listener);
  listener.above = listener.row().memory.usage() >= pages;
  return add(listener, given);
}

// What has ended until now is told to those who have listened until now.
int listen_to_pressure(ListenedGroup group, PressureLevel from,
                       PressureMode mode, int given) {
  LockGuard guard(table_lock);
  const int error = windows.begin(g_segment);
  if (error != 0) return -error;
  windows.look(g_segment, tell_windows);
  Listener listener;
  listener.kind = Kind::kPressure;
  listener.group = group;
  listener.from = from;
  listener.mode = mode;
  return add(listener, given);
}

int listen_to_oom(ListenedGroup group, int given) {
  LockGuard guard(table_lock);
  Listener listener;
  listener.kind = Kind::kOom;
  listener.group = group;
  listener.ooms = ooms_above(group.index);
  return add(listener, given);
}

int listen_to_psi(ListenedGroup group, PsiState state, uint32_t threshold_us,
                  uint32_t window_us) {
  LockGuard guard(table_lock);
  Listener listener;
  listener.kind = Kind::kPsi;
  listener.group = group;
  const int error =
      psi_trigger_start(listener.trigger, g_segment, group.index, state,
                        threshold_us, window_us, sys::monotonic_ns());
  return error == 0 ? add(listener, kNewEventFd) : -error;
}

int stop_listening(int fd) {
  LockGuard guard(table_lock);
  bool found = false;
  for_listeners([&](Listener& listener) {
    if (listener.fd != fd) return;
    drop(listener);
    found = true;
  });
  if (!found) return EBADF;
  forget_listeners(g_segment);
  for_listeners(mark);
  return 0;
}

bool any_listeners() { return listener_count.load(kSeqCst) != 0; }

void tell_listeners(uint64_t now_ns) {
  if (!any_listeners()) return;
  LockGuard guard(table_lock);
  look(now_ns);
}

uint64_t next_look_ns() {
  uint64_t next = UINT64_MAX;
  if (!any_listeners()) return next;
  LockGuard guard(table_lock);
  for_listeners([&](const Listener& listener) {
    if (listener.kind != Kind::kPsi) return;
    const uint64_t due = psi_trigger_next(listener.trigger);
    if (due < next) next = due;
  });
  return next;
}

// The parent's descriptors were copied.
void reset_listeners() {
  table_lock.reset();
  for_listeners(drop);
  listener_count.store(0, kRelaxed);
  table_used = 0;
  windows.end();
}

}  // namespace umemcg
