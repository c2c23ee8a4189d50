// The process that answers for a mounted tree.
#pragma once

#include <string>

namespace umemcg::cgroupfs {

struct MountOptions {
  std::string domain;
  std::string directory;
  bool v1 = false;
  bool foreground = false;
};

// Mounts the domain that g_segment maps at `directory` (an absolute path) and
// serves it until it is unmounted or a signal comes; in the background unless
// told otherwise: then the caller's process ends in here, when the tree is
// there. Returns, with the exit status, only if it cannot be mounted.
int serve(const MountOptions& options);

}  // namespace umemcg::cgroupfs
