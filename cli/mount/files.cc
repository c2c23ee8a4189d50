// Control files: opening, reading, writing and polling them.

#include <fcntl.h>

#include <cerrno>
#include <memory>

#include "cli/mount/open_file.h"
#include "cli/mount/operations.h"
#include "cli/mount/store.h"
#include "cli/mount/watcher.h"

namespace umemcg::cgroupfs {
namespace {

using Handle = std::shared_ptr<OpenFile>;

Handle* handle_of(const fuse_file_info* info) {
  return reinterpret_cast<Handle*>(info->fh);
}

OpenFile& file_of(const fuse_file_info* info) { return **handle_of(info); }

void close(Handle* handle) {
  g_watcher.closed(*handle);
  delete handle;
}

}  // namespace

// The kernel has looked at the modes. As there, root may open for writing what
// cannot be written, and is told at the write.
void open_file(fuse_req_t request, fuse_ino_t number, fuse_file_info* info) {
  const Node node = node_of(number);
  const ControlFile* row = row_of(node);
  if (row == nullptr || !online(node)) {
    fuse_reply_err(request, ENODEV);
    return;
  }
  auto* handle = new Handle(std::make_shared<OpenFile>(node, *row));
  info->fh = reinterpret_cast<uint64_t>(handle);
  // All of it in one read, past the page cache, whatever the size says.
  info->direct_io = 1;
  g_watcher.opened(*handle);
  if (fuse_reply_open(request, info) != 0) close(handle);
}

void read_file(fuse_req_t request, fuse_ino_t, size_t size, off_t offset,
               fuse_file_info* info) {
  std::string part;
  const int error = file_of(info).read(size, offset, &part);
  if (error != 0) {
    fuse_reply_err(request, error);
  } else {
    fuse_reply_buf(request, part.data(), part.size());
  }
}

void write_file(fuse_req_t request, fuse_ino_t, const char* data, size_t size,
                off_t, fuse_file_info* info) {
  // As the kernel's cgroup files.
  constexpr size_t kMostBytes = 4096;
  OpenFile& file = file_of(info);
  const std::string value(data, size);
  int error = E2BIG;
  if (size > kMostBytes) {
    fuse_reply_err(request, error);
  } else if (!online(file.node())) {
    fuse_reply_err(request, ENODEV);
  } else if (file.takes(value, fuse_req_ctx(request)->pid, &error)) {
    // It may have to be looked at.
    g_watcher.wake();
    error == 0 ? fuse_reply_write(request, size)
               : fuse_reply_err(request, error);
  } else {
    // As it is now: fcntl(2) may have changed it.
    const bool nonblocking = (info->flags & O_NONBLOCK) != 0;
    store(request, file, value, nonblocking);
  }
}

void poll_file(fuse_req_t request, fuse_ino_t, fuse_file_info* info,
               fuse_pollhandle* handle) {
  fuse_reply_poll(request, file_of(info).poll(handle));
}

void close_file(fuse_req_t request, fuse_ino_t, fuse_file_info* info) {
  close(handle_of(info));
  fuse_reply_err(request, 0);
}

}  // namespace umemcg::cgroupfs
