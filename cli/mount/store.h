// Writing a value to a control file, for a request that may be interrupted.
#pragma once

#include <string>

#include "cli/mount/fuse.h"
#include "cli/mount/open_file.h"

namespace umemcg::cgroupfs {

// Answers the request with what the row's store() says, when it is done: what
// is answered is not stored any later. It may reclaim for seconds; that ends,
// with the round that is under way, when a signal reaches the writer: as in the
// kernel with EINTR, but for memory.high and memory.max, whose limit is set by
// then. What does not reclaim is not interrupted.
void store(fuse_req_t request, const OpenFile& file, const std::string& value,
           bool nonblocking);

}  // namespace umemcg::cgroupfs
