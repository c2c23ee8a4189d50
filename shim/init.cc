#include "shim/init.h"

#include <sys/resource.h>
#include <unistd.h>

#include <cstring>

#include "accounting/domain.h"
#include "accounting/mem_cgroup.h"
#include "accounting/oom_policy.h"
#include "accounting/process.h"
#include "accounting/tree_change.h"
#include "alloc/compound.h"
#include "alloc/fork.h"
#include "alloc/heap.h"
#include "alloc/page_table.h"
#include "base/errno_saver.h"
#include "base/lock.h"
#include "base/sys.h"
#include "base/text.h"
#include "reclaim/charge.h"
#include "reclaim/serve.h"
#include "shim/lifecycle.h"
#include "stock/current.h"

namespace umemcg {
namespace {

constinit std::atomic<State> current_state{State::kCold};
constinit Lock start_lock;
constinit UMEMCG_TLS bool t_starting = false;
constinit Config settings;

void program_name(TextBuffer& out) {
  char name[32];
  ssize_t length = sys::read_file("/proc/self/comm", name, sizeof(name));
  if (length <= 0) {
    out.text("process");
    return;
  }
  name[std::strcspn(name, "\n")] = '\0';
  for (char* c = name; *c != '\0'; ++c) {
    if (*c == '/') *c = '_';
  }
  out.text(name);
}

// Each process has a group below the root: the one it was told, or one of its
// own, named after it.
// True if it is its own.
bool choose_group(TextBuffer& path) {
  const char* given = settings.group;
  if (given != nullptr && given[std::strspn(given, "/")] != '\0') {
    path.text(given);
    return false;
  }
  path.character('/');
  program_name(path);
  path.character('.').number(static_cast<uint64_t>(sys::process_id()));
  return true;
}

SegmentSizes private_sizes() {
  // Where address space is scarce, 45 MiB of empty tables are not spent.
  for (auto resource : {RLIMIT_AS, RLIMIT_DATA}) {
    rlimit limit;
    if (::getrlimit(resource, &limit) == 0 && limit.rlim_cur < kGiB) {
      return SegmentSizes{64, 1, 256, 1024};
    }
  }
  // Room for a server of many tenants; what is not used is not there.
  return SegmentSizes{16384, 1, 32768, 8192};
}

bool open_segment() {
  if (settings.domain == nullptr) {
    if (g_segment.create_private(private_sizes()) == 0) return true;
    not_accounted("no memory for its tables");
    return false;
  }
  const char* why = nullptr;
  int error = join_domain(g_segment, settings.domain, &why);
  if (error == 0) return true;
  Line detail;
  detail.text(settings.domain).character(' ').text(why);
  detail.text(" (").text(strerrordesc_np(error)).character(')');
  not_accounted("the domain", detail.c_str());
  return false;
}

void apply_limits(Group& group) {
  if (settings.max != kUnset) {
    group.memory.store_max(settings.max);
    group.memory.set_reserve(default_reserve(settings.max));
  }
  if (settings.reserve != kUnset) group.memory.set_reserve(settings.reserve);
  if (settings.high != kUnset) {
    group.high.store(settings.high, std::memory_order_relaxed);
  }
  if (settings.oom != nullptr) set_oom_policy(group, settings.oom);
  if (settings.low == kUnset && settings.min == kUnset) return;
  // Protection is summed up in the parent: one change at a time.
  TreeChange change(g_segment);
  if (!change.held()) return;
  if (settings.low != kUnset) group.memory.set_low(settings.low);
  if (settings.min != kUnset) group.memory.set_min(settings.min);
}

// Limits are those of whoever made the group: what was set on it since is not
// undone by each program that starts in it.
bool make_own_group(uint32_t* group, Origin* origin) {
  Text<8192> path;
  const bool own = choose_group(path);
  origin->home = home_of(own ? "" : path.c_str());
  *group = moved_group(g_segment, origin);
  if (*group != kNone) return true;
  bool made = false;
  const int error = create_group(g_segment, path.c_str(), group, &made);
  if (own && made) make_transient(g_segment, *group);
  if (error != 0) {
    Line detail;
    detail.text(path.c_str()).text(" cannot be made (");
    detail.text(strerrordesc_np(error)).character(')');
    not_accounted("the group", detail.c_str());
    return false;
  }
  if (made || g_segment.is_private()) apply_limits(*g_segment.group(*group));
  return true;
}

bool join_group() {
  uint32_t group = kNone;
  int error = ENOENT;
  Text<64> name;
  program_name(name);
  // (The group may be removed before it is joined.)
  for (int tries = 0; tries < 3 && error == ENOENT; ++tries) {
    Origin origin;
    if (!make_own_group(&group, &origin)) return false;
    error = attach_process(group, name.c_str(), origin);
  }
  if (error != 0) {
    not_accounted("no place in the domain's table of processes",
                  strerrordesc_np(error));
    return false;
  }
  Account* account = account_of(group);
  Account* records = account_of(kRootGroup);
  if (account == nullptr || records == nullptr) {
    not_accounted("the domain's table of ledgers is full");
    return false;
  }
  set_accounts(account, records);
  publish_page_table();
  return true;
}

bool start_accounting() {
  settings = read_config();
  if (settings.disable) return false;
  if (!settings.account.has(Kind::kHeap)) {
    not_accounted("UMEMCG_ACCOUNT names kinds, but not heap");
    return false;
  }
  if (!open_segment()) return false;
  PageCounter::set_link_window(
      g_segment.group(0), g_segment.group(g_segment.group_count() - 1) + 1);
  if (!join_group()) return false;
  map_fork_page();
  install_reclaim({settings.verbose});
  install_serving();
  install_lifecycle();
  set_compound_mode(settings.thp);
  switch (start_allocator()) {
    case AllocatorStart::kAccounted:
      return true;
    case AllocatorStart::kNoRange:
      not_accounted("no address space for a range");
      return false;
    case AllocatorStart::kNotInRange:
      not_accounted(
          "a block of the allocator lies outside umemcg's range; "
          "is another malloc in front of it?");
      return false;
  }
  return false;
}

}  // namespace

State state() { return current_state.load(std::memory_order_acquire); }

const Config& config() { return settings; }

void not_accounted(const char* why, const char* detail) {
  Line line;
  line.text("not accounted: ").text(why);
  if (detail != nullptr) line.character(' ').text(detail);
  print_line(line);
}

void ensure_started() {
  State now = state();
  if (now == State::kReady || now == State::kOff || t_starting) return;
  LockGuard guard(start_lock);
  if (state() != State::kCold) return;
  t_starting = true;
  current_state.store(State::kStarting, std::memory_order_relaxed);
  ErrnoSaver saver;
  report_errors();
  bool accounted = start_accounting();
  // release: pairs with state().
  current_state.store(accounted ? State::kReady : State::kOff,
                      std::memory_order_release);
  t_starting = false;
}

}  // namespace umemcg
