// An open file of the mounted tree: its content as of its first read, what its
// reader has seen, and what it has asked for by writing.
#pragma once

#include <atomic>
#include <mutex>
#include <optional>
#include <string>

#include "accounting/psi_trigger.h"
#include "cli/mount/node.h"

namespace umemcg::cgroupfs {

class OpenFile {
 public:
  OpenFile(const Node& node, const ControlFile& row) : node_(node), row_(row) {}
  ~OpenFile();
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;

  const Node& node() const { return node_; }
  const ControlFile& row() const { return row_; }

  // A part of the content, which is made anew when it is read from its
  // beginning. 0 or an error number.
  int read(size_t size, off_t offset, std::string* part);

  // What a write of the whole value by that thread does here: a peak of its
  // own, a trigger, an eventfd. False: nothing, it is the row's to store.
  bool takes(const std::string& value, pid_t writer, int* error);

  // Events of poll(2); `handle` (may be null) is told of later ones, and is
  // this object's from here on.
  unsigned poll(fuse_pollhandle* handle);
  // Whether there is something to tell that has come by itself: a trigger.
  // Called by the watcher alone.
  bool look(uint64_t now_ns);
  // Who polls is to ask again.
  void tell();

  // A watcher that looks is wanted.
  bool has_trigger();

 private:
  int show(std::string* content);
  int begin_peak();
  int begin_trigger(const std::string& value);

  const Node node_;
  const ControlFile& row_;

  std::mutex mutex_;  // of all that follows
  std::optional<std::string> content_;
  uint32_t seen_ = 0;  // the version that was read
  int peak_ = -1;      // reader (accounting/peak.h)
  std::optional<PsiTrigger> trigger_;
  bool fired_ = false;
  fuse_pollhandle* poll_ = nullptr;
};

}  // namespace umemcg::cgroupfs
