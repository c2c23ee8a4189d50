// Who has made a request.
#pragma once

#include <sys/types.h>

#include <cstdint>

namespace umemcg::cgroupfs {

// FUSE tells the number of a thread: that of its process. 0: there is none any
// more, or it is in another pid namespace.
int32_t process_of_thread(pid_t thread);

}  // namespace umemcg::cgroupfs
