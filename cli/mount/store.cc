#include "cli/mount/store.h"

#include <atomic>
#include <cerrno>

#include "cli/mount/requester.h"

namespace umemcg::cgroupfs {
namespace {

using Flag = std::atomic<bool>;

void interrupt(fuse_req_t, void* data) {
  // relaxed: nothing goes with it; pairs with why_to_stop() in control_file.cc.
  static_cast<Flag*>(data)->store(true, std::memory_order_relaxed);
}

// Files in which 0 stands for the writer, or that may be the end of it.
bool concerns_the_writer(const Node& node) {
  return is_named(node, "cgroup.procs") || is_named(node, "cgroup.threads") ||
         is_named(node, "tasks") || is_named(node, "cgroup.kill");
}

}  // namespace

void store(fuse_req_t request, const OpenFile& file, const std::string& value,
           bool nonblocking) {
  Writer writer;
  writer.nonblocking = nonblocking;
  writer.group_id = id_of(file.node());
  if (writer.group_id == 0) {
    fuse_reply_err(request, ENODEV);
    return;
  }
  if (concerns_the_writer(file.node())) {
    writer.pid = process_of_thread(fuse_req_ctx(request)->pid);
    // Not the daemon, which would be 0.
    if (writer.pid == 0) writer.pid = -1;
  }
  Flag interrupted{false};
  writer.interrupted = &interrupted;
  fuse_req_interrupt_func(request, interrupt, &interrupted);
  const int error = file.row().store(g_segment, file.node().group, value.data(),
                                     value.size(), writer);
  // Nobody is in interrupt() when this returns.
  fuse_req_interrupt_func(request, nullptr, nullptr);
  if (error == 0) {
    fuse_reply_write(request, value.size());
  } else {
    fuse_reply_err(request, error);
  }
}

}  // namespace umemcg::cgroupfs
