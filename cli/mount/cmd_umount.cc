// `umemcg umount`.

#include <unistd.h>

#include <cerrno>
#include <memory>

#include "cli/commands.h"
#include "cli/mount/mount_point.h"

namespace umemcg {
namespace {

using namespace cgroupfs;

struct Options {
  std::string directory;
  bool lazy = false;
};

int fail_umount(const std::string& directory, int error,
                const std::string& what) {
  return fail(directory + " cannot be unmounted (" + error_text(error) + "); " +
              what);
}

// The daemon itself uses the tree for moments.
int take_away_patiently(const std::string& directory, bool lazy) {
  constexpr int kTries = 20;
  constexpr useconds_t kPauseUs = 10'000;
  int error = 0;
  for (int i = 0; i < kTries; ++i) {
    error = take_away(directory, lazy);
    if (error != EBUSY) break;
    ::usleep(kPauseUs);
  }
  return error;
}

int umount(const Options& options) {
  const std::string directory = absolute_path(options.directory);
  const MountPoint there = find_mount(directory);
  if (directory.empty()) {
    return fail_umount(options.directory, ENOENT, "there is no such directory");
  }
  if (!there.mounted || there.type != kFileSystem) {
    return fail_umount(options.directory, EINVAL,
                       there.mounted ? "it is a mount, but not umemcg's: its "
                                       "type is " +
                                           there.type
                                     : "nothing is mounted there");
  }
  const bool may = ::geteuid() == 0 || ::geteuid() == there.user;
  const int error = may ? take_away_patiently(directory, options.lazy) : EPERM;
  if (error == 0) return kDone;
  if (error != EBUSY) {
    return fail_umount(options.directory, error,
                       "only the user who mounted it (uid " +
                           std::to_string(there.user) + "), or root, may");
  }
  const std::string users = users_of(directory);
  return fail_umount(
      options.directory, error,
      (users.empty() ? "somebody uses it" : "it is used by " + users) +
          "; --lazy unmounts it nevertheless");
}

}  // namespace

void add_umount_command(CLI::App& app, Action& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("umount", "Unmount what umemcg mount has mounted");
  command->add_flag("-l,--lazy", options->lazy,
                    "also while it is used: it ends with its last user");
  command->add_option("directory", options->directory, "where")
      ->required()
      ->type_name("DIR");
  command->callback(
      [options, &chosen] { chosen = [options] { return umount(*options); }; });
}

}  // namespace umemcg
