// What the kernel knows of the mounted tree, and telling it what has changed
// there by other ways: inotify and poll.
//
// The kernel does not say who watches a file. But it lets go of a file that was
// looked up, when it is asked to, unless somebody holds it: an open file, or an
// inotify watch. So a file is watched if it was looked up or opened lately, or
// is held. While there is such a one the changes are looked for every 5 ms; the
// rest of the time only, and less often, for groups that others have removed.
//
//   poll       the kernel is told that it should ask again
//   IN_MODIFY  the kernel makes it of what passes through it: so the daemon
//              sets the file's time, which is a change of nothing
//   IN_DELETE_SELF  the kernel makes it when a file without links loses its
//              last name: so one that is gone gets a name in a directory that
//              only the daemon finds (kGraveyard), says there that it has no
//              links, and loses that name at once
//
// At most one notification per 10 ms and file, as in the kernel; one that would
// be earlier comes when they are over.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "cli/mount/node.h"
#include "cli/mount/noted_value.h"

namespace umemcg::cgroupfs {

class OpenFile;

inline constexpr uint64_t kMostPauseNs = 1'000'000'000;

class Watcher {
 public:
  // Watches for the tree that `session` serves at `directory`.
  void start(fuse_session* session, const std::string& directory);
  void stop();

  // The kernel was told of the node: it knows it until it forgets it.
  void looked_up(fuse_ino_t number);
  void forgotten(fuse_ino_t number, uint64_t count);

  // Files that may be polled, and are told.
  void opened(const std::shared_ptr<OpenFile>& file);
  void closed(const std::shared_ptr<OpenFile>& file);

  // What has changed in the file up to now; never 0.
  uint32_t version(fuse_ino_t number);

  // Whether the request comes from the daemon itself.
  bool asks(pid_t thread) const { return thread == thread_; }
  // Whether a file with these attributes is one of the mount's.
  bool shows(const struct stat& info);
  // Looks whether the domain's file has been removed, or another has its name;
  // then the session is told to end, as by a signal from outside: a tree of
  // what nobody can join any more is of no use.
  bool look_for_domain();
  bool domain_is_gone() const { return gone_; }
  // There is something to be looked at that was not there before.
  void wake();

 private:
  struct Entry {
    uint64_t lookups = 0;
    uint64_t touched_ns = 0;
    bool asked_back = false;  // since then
    // Files that notify.
    uint64_t value = 0;
    uint32_t version = 1;
    bool pending = false;
    uint64_t told_ns = 0;
    bool dying = false;  // its group was removed, which was seen
    std::set<std::shared_ptr<OpenFile>> open;
  };
  using Entries = std::unordered_map<fuse_ino_t, Entry>;
  struct Dying {
    fuse_ino_t number;
    uint64_t since_ns;
  };
  // What a look has found, to be told without the lock.
  struct Findings {
    std::vector<std::shared_ptr<OpenFile>> news, pressure;
    std::vector<fuse_ino_t> changed, unused, dead;
    uint64_t pause_ns = kMostPauseNs;
  };

  void run();
  Findings look(uint64_t now_ns);
  void look_at(fuse_ino_t number, Entry& entry, uint64_t now_ns,
               NotedValues* values, Findings* found);
  static bool look_at_triggers(const Findings& found, uint64_t now_ns);
  void find_dying(uint64_t now_ns);
  void look_at_dying(uint64_t now_ns, Findings* found);
  void forget_unused(Entries::iterator entry);
  void tell(const Findings& found);
  void check_domain(uint64_t now_ns);
  void touch(fuse_ino_t number);
  void let_go(fuse_ino_t number) const;
  void bury(fuse_ino_t number) const;

  std::mutex mutex_;
  std::condition_variable wake_;
  Entries entries_;
  std::set<fuse_ino_t> noted_;  // entries that looks go through
  std::vector<Dying> dying_;
  uint32_t generation_ = 0;  // of the tree, at the last look
  bool overtaken_ = false;   // an entry is of a group removed before that
  bool woken_ = false;
  bool watching_ = false;  // looks follow each other closely
  bool stop_ = false;

  fuse_session* session_ = nullptr;
  std::string directory_;
  std::atomic<dev_t> device_{0};  // 0: not known yet
  std::atomic<pid_t> thread_{0};
  std::atomic<bool> gone_{false};
  uint64_t checked_ns_ = 0;
  std::thread runner_;
};

extern Watcher g_watcher;

}  // namespace umemcg::cgroupfs
