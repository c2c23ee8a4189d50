#include "cli/mount/watcher.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <ctime>

#include "accounting/mem_cgroup.h"
#include "base/sys.h"
#include "cli/mount/event_control.h"
#include "cli/mount/open_file.h"

namespace umemcg::cgroupfs {
namespace {

constexpr uint64_t kMs = 1'000'000;
// Between looks for changes, and for groups that are gone.
constexpr uint64_t kLookNs = 5 * kMs;
constexpr uint64_t kIdleNs = 50 * kMs;
// Of one file's notifications: HZ / 100.
constexpr uint64_t kBetweenNs = 10 * kMs;
// So long after it was looked up a file counts as watched.
constexpr uint64_t kLatelyNs = 2'000 * kMs;
// After that the kernel has forgotten what nobody holds of a removed group.
constexpr uint64_t kGraceNs = 10 * kMs;
// A look rests so many times what it took: of very many files, less often.
constexpr uint64_t kRest = 9;

// What the looks go through, beside groups that are removed.
bool is_noted(const Node& node) {
  return notifies(node) || is_named(node, "memory.pressure");
}

// Of the calling thread.
uint64_t cpu_ns() {
  timespec used = {};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return static_cast<uint64_t>(used.tv_sec) * 1'000'000'000 +
         static_cast<uint64_t>(used.tv_nsec);
}

std::string path_of(const Node& node) {
  Text<(kNameSize + 1) * kMaxDepth + 2> path;
  if (node.group != kRootGroup) group_path(g_segment, node.group, path);
  const ControlFile* row = row_of(node);
  std::string text = path.c_str();
  return row != nullptr ? text + "/" + row->name : text;
}

}  // namespace

Watcher g_watcher;

void Watcher::start(fuse_session* session, const std::string& directory) {
  session_ = session;
  directory_ = directory;
  // Signals are for the thread that waits for the session's end.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  runner_ = std::thread([this] { run(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void Watcher::stop() {
  {
    const std::lock_guard guard(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  if (runner_.joinable()) runner_.join();
}

void Watcher::wake() {
  {
    const std::lock_guard guard(mutex_);
    woken_ = true;
  }
  wake_.notify_all();
}

void Watcher::looked_up(fuse_ino_t number) {
  if (number == FUSE_ROOT_ID) return;
  const uint64_t now = sys::monotonic_ns();
  const Node node = node_of(number);
  const bool watched = notifies(node);
  const std::lock_guard guard(mutex_);
  Entry& entry = entries_[number];
  if (entry.lookups++ == 0 && is_noted(node)) {
    noted_.insert(number);
    if (watched) entry.value = NotedValues().of(node);
  }
  // Its group was removed meanwhile, and that may have been looked at.
  if (!online(node)) overtaken_ = true;
  entry.touched_ns = now;
  entry.asked_back = false;
  // Sooner than the pause that is under way would end.
  if (watched && !watching_) {
    woken_ = true;
    wake_.notify_all();
  }
}

void Watcher::forgotten(fuse_ino_t number, uint64_t count) {
  const std::lock_guard guard(mutex_);
  const auto found = entries_.find(number);
  if (found == entries_.end()) return;
  Entry& entry = found->second;
  entry.lookups -= std::min(entry.lookups, count);
  forget_unused(found);
}

// REQUIRES: the lock.
void Watcher::forget_unused(Entries::iterator entry) {
  if (entry->second.lookups != 0 || !entry->second.open.empty()) return;
  noted_.erase(entry->first);
  entries_.erase(entry);
}

void Watcher::opened(const std::shared_ptr<OpenFile>& file) {
  const std::lock_guard guard(mutex_);
  entries_[number_of(file->node())].open.insert(file);
}

void Watcher::closed(const std::shared_ptr<OpenFile>& file) {
  const std::lock_guard guard(mutex_);
  const auto found = entries_.find(number_of(file->node()));
  if (found == entries_.end()) return;
  found->second.open.erase(file);
  forget_unused(found);
}

uint32_t Watcher::version(fuse_ino_t number) {
  const std::lock_guard guard(mutex_);
  const auto found = entries_.find(number);
  return found != entries_.end() ? found->second.version : 1;
}

void Watcher::run() {
  thread_ = ::gettid();
  sys::name_thread("umemcg-watch");
  std::unique_lock lock(mutex_);
  while (!stop_) {
    woken_ = false;
    const uint64_t now = sys::monotonic_ns();
    const uint64_t used = cpu_ns();
    Findings found = look(now);
    lock.unlock();
    check_domain(now);
    tell(found);
    const bool triggers = look_at_triggers(found, now);
    const bool events = look_at_events(now);
    if (triggers || events) found.pause_ns = std::min(found.pause_ns, kLookNs);
    const bool closely = found.pause_ns <= kLookNs;
    const uint64_t rest = kRest * (cpu_ns() - used);
    found.pause_ns = std::max(found.pause_ns, std::min(rest, kMostPauseNs));
    lock.lock();
    watching_ = closely;
    const auto stirred = [this] { return stop_ || woken_; };
    wake_.wait_for(lock, std::chrono::nanoseconds(found.pause_ns), stirred);
  }
}

bool Watcher::shows(const struct stat& info) {
  struct stat root;
  // Another thread answers.
  if (device_ == 0 && ::stat(directory_.c_str(), &root) == 0) {
    device_ = root.st_dev;
  }
  return info.st_dev == device_;
}

bool Watcher::look_for_domain() {
  const int fd = g_segment.open_file();
  if (fd >= 0) {
    sys::close(fd);
  } else if ((fd == -ESTALE || fd == -ENOENT) && !gone_.exchange(true)) {
    ::kill(::getpid(), SIGTERM);
  }
  return !gone_;
}

// Where there are no requests.
void Watcher::check_domain(uint64_t now_ns) {
  if (now_ns - checked_ns_ < kMostPauseNs) return;
  checked_ns_ = now_ns;
  look_for_domain();
}

// REQUIRES: the lock.
Watcher::Findings Watcher::look(uint64_t now_ns) {
  Findings found;
  if (!entries_.empty()) found.pause_ns = kIdleNs;
  find_dying(now_ns);
  look_at_dying(now_ns, &found);
  NotedValues values;
  for (const fuse_ino_t number : noted_) {
    if (online(node_of(number))) {
      look_at(number, entries_[number], now_ns, &values, &found);
    }
  }
  return found;
}

// Nodes of groups that were removed since the last look.
void Watcher::find_dying(uint64_t now_ns) {
  // acquire: pairs with the removal of a group, so that is seen.
  const uint32_t generation =
      g_segment.header().generation.load(std::memory_order_acquire);
  if (generation == generation_ && !overtaken_) return;
  generation_ = generation;
  overtaken_ = false;
  for (auto& [number, entry] : entries_) {
    if (entry.dying || number == kGraveyard || online(node_of(number))) {
      continue;
    }
    entry.dying = true;
    dying_.push_back({number, now_ns});
  }
}

void Watcher::look_at_dying(uint64_t now_ns, Findings* found) {
  if (!dying_.empty()) found->pause_ns = kLookNs;
  std::erase_if(dying_, [&](const Dying& dying) {
    const auto entry = entries_.find(dying.number);
    if (entry == entries_.end()) return true;
    const auto& open = entry->second.open;
    if (dying.since_ns == now_ns) {
      found->news.insert(found->news.end(), open.begin(), open.end());
    }
    if (now_ns - dying.since_ns < kGraceNs) return false;
    if (entry->second.lookups > 0) found->dead.push_back(dying.number);
    return true;
  });
}

void Watcher::look_at(fuse_ino_t number, Entry& entry, uint64_t now_ns,
                      NotedValues* values, Findings* found) {
  const Node node = node_of(number);
  if (is_named(node, "memory.pressure")) {
    found->pressure.insert(found->pressure.end(), entry.open.begin(),
                           entry.open.end());
  }
  if (!notifies(node)) return;
  const bool lately =
      !entry.open.empty() || now_ns - entry.touched_ns < kLatelyNs;
  if (!lately && !entry.asked_back) {
    entry.asked_back = true;
    found->unused.push_back(number);
  }
  found->pause_ns = kLookNs;
  const uint64_t value = values->of(node);
  if (value != entry.value) {
    entry.value = value;
    entry.pending = true;
  }
  if (!entry.pending || now_ns - entry.told_ns < kBetweenNs) return;
  entry.pending = false;
  entry.told_ns = now_ns;
  ++entry.version;
  if (entry.lookups > 0) found->changed.push_back(number);
  found->news.insert(found->news.end(), entry.open.begin(), entry.open.end());
}

// Without the lock, which a file's own comes before. Whether there is any.
bool Watcher::look_at_triggers(const Findings& found, uint64_t now_ns) {
  bool any = false;
  for (const auto& file : found.pressure) {
    if (!file->has_trigger()) continue;
    any = true;
    if (file->look(now_ns)) file->tell();
  }
  return any;
}

// Who polls first: that does not wait for anything.
void Watcher::tell(const Findings& found) {
  for (const auto& file : found.news) file->tell();
  for (const fuse_ino_t number : found.changed) touch(number);
  // Files before the directories that they are in.
  std::vector<fuse_ino_t> dead = found.dead;
  std::stable_partition(dead.begin(), dead.end(), [](fuse_ino_t number) {
    return node_of(number).file != 0;
  });
  for (const fuse_ino_t number : dead) {
    bury(number);
    // The name that it had would hold the directory, which may be watched.
    if (node_of(number).file != 0) let_go(number);
  }
  for (const fuse_ino_t number : found.unused) let_go(number);
}

// Sets the time of the file if it is the mount's: something else may lie over
// it by now.
void Watcher::touch(fuse_ino_t number) {
  const std::string path = directory_ + path_of(node_of(number));
  const int fd = ::open(path.c_str(), O_PATH | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return;
  struct stat info;
  if (::fstat(fd, &info) == 0 && shows(info) && info.st_ino == number) {
    // One of the two times, and not the present one, which others may set too.
    const timespec times[2] = {{0, UTIME_OMIT}, g_view.since};
    ::utimensat(fd, "", times, AT_EMPTY_PATH);
  }
  ::close(fd);
}

void Watcher::let_go(fuse_ino_t number) const {
  const Node node = node_of(number);
  const ControlFile* row = row_of(node);
  Node directory = node;
  directory.file = 0;
  fuse_lowlevel_notify_inval_entry(session_, number_of(directory), row->name,
                                   std::strlen(row->name));
}

void Watcher::bury(fuse_ino_t number) const {
  const std::string name = std::to_string(number);
  const std::string path = directory_ + "/" + kGraveyardName + "/" + name;
  struct stat info;
  if (::lstat(path.c_str(), &info) == 0) {
    fuse_lowlevel_notify_inval_entry(session_, kGraveyard, name.c_str(),
                                     name.size());
  }
}

}  // namespace umemcg::cgroupfs
