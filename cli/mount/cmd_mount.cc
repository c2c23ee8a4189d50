// `umemcg mount`: a domain as a tree of directories, as cgroup2 is mounted.

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <memory>

#include "accounting/domain.h"
#include "cli/commands.h"
#include "cli/mount/daemon.h"
#include "cli/mount/mount_point.h"
#include "cli/mount/unloaded.h"

namespace umemcg {
namespace {

using namespace cgroupfs;

int fail_mount(const std::string& directory, int error,
               const std::string& what) {
  return fail(directory + " cannot be mounted on (" + error_text(error) +
              "); " + what);
}

// What a killed daemon has left is taken away. 0, or the exit status.
int clear(const std::string& directory) {
  const MountPoint there = find_mount(directory);
  if (!there.mounted || there.type != kFileSystem) return kDone;
  if (answers(directory)) {
    return fail_mount(directory, EBUSY,
                      "the domain " + there.source +
                          " is mounted there; `umemcg umount` unmounts it");
  }
  const int error = take_away(directory, true);
  if (error != 0) {
    return fail_mount(directory, error,
                      "a mount is there whose daemon has ended; unmount it as "
                      "the user who made it, with `umemcg umount --lazy`");
  }
  fail(directory +
       " was mounted by a daemon that has ended: unmounted, and mounted anew");
  return kDone;
}

int check_directory(const std::string& directory, const std::string& given) {
  struct stat info;
  if (directory.empty()) return fail_mount(given, ENOENT, "make it first");
  if (::stat(directory.c_str(), &info) != 0) {
    return fail_mount(given, errno, "is it a directory of yours?");
  }
  if (!S_ISDIR(info.st_mode)) {
    return fail_mount(given, ENOTDIR, "name a directory");
  }
  return kDone;
}

// Mounts, and makes the domain if there is none: an empty tree is what mounting
// a cgroup file system gives.
int mount(MountOptions options) {
  const std::string wrong = begin_without_library();
  if (!wrong.empty()) return fail(wrong);
  // Of what the caller has open, a daemon keeps nothing open.
  if (!options.foreground) ::close_range(3, UINT_MAX, 0);
  const std::string given = options.directory;
  options.directory = absolute_path(given);
  int status = clear(options.directory);
  if (status == kDone) status = check_directory(options.directory, given);
  if (status != kDone) return status;
  const std::string name = domain_name(options.domain);
  const char* why = "";
  const int error = join_domain(g_segment, name.c_str(), &why);
  if (error != 0) {
    return fail("the domain " + name + " " + why + " (" + error_text(error) +
                "); name another with --domain, or remove it with `umemcg rm "
                "--all`");
  }
  settle_domain();
  return serve(options);
}

}  // namespace

void add_mount_command(CLI::App& app, Action& chosen) {
  auto options = std::make_shared<MountOptions>();
  CLI::App* command = app.add_subcommand(
      "mount",
      "Mount a domain as a tree of control groups; it is made if there is "
      "none");
  add_domain_option(command, options->domain);
  command->add_flag("--v1", options->v1, "show the files of cgroup v1");
  command->add_flag("--foreground", options->foreground,
                    "stay; without it a process in the background answers");
  command->add_option("directory", options->directory, "where")
      ->required()
      ->type_name("DIR");
  command->callback(
      [options, &chosen] { chosen = [options] { return mount(*options); }; });
}

}  // namespace umemcg
