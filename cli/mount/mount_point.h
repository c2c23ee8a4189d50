// Directories as mount points: which are umemcg's, and taking mounts away.
#pragma once

#include <sys/types.h>

#include <string>

namespace umemcg::cgroupfs {

// The file system's type, as /proc/self/mountinfo and mount(8) show it.
inline constexpr char kFileSystem[] = "fuse.umemcg";

struct MountPoint {
  bool mounted = false;
  std::string type;    // kFileSystem, if it is one of ours
  std::string source;  // of one of ours: the domain's file
  uid_t user = 0;      // of one of ours: who has mounted it
};

// What is mounted last at that absolute path.
MountPoint find_mount(const std::string& path);

// The absolute path, with no links in its way to the last name but one; that
// itself is not looked at, since nobody may answer for it. Empty if there is
// no such directory.
std::string absolute_path(const std::string& path);

// Whether a daemon answers for it: false if it has ended.
bool answers(const std::string& path);

// Takes a mount of ours away; `lazy`: also while it is used. 0 or an error
// number.
int take_away(const std::string& path, bool lazy);

// Other processes that use the mount, as "PID (name)", some of them; empty if
// none can be seen.
std::string users_of(const std::string& path);

}  // namespace umemcg::cgroupfs
