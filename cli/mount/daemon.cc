#include "cli/mount/daemon.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>
#include <fstream>
#include <vector>

#include "cli/command.h"
#include "cli/mount/operations.h"
#include "cli/mount/watcher.h"

namespace umemcg::cgroupfs {
namespace {

// Requests that are answered at the same time: a store may reclaim for
// seconds.
constexpr unsigned kMostThreads = 256;
constexpr unsigned kIdleThreads = 4;

void init(void*, fuse_conn_info* connection) {
  connection->want |= FUSE_CAP_ATOMIC_O_TRUNC & connection->capable;
  connection->want |= FUSE_CAP_PARALLEL_DIROPS & connection->capable;
  connection->want &= ~unsigned{FUSE_CAP_READDIRPLUS};
}

template <int kError, typename... Arguments>
void refuse(fuse_req_t request, Arguments...) {
  fuse_reply_err(request, kError);
}

// What is answered only as long as the domain is there.
template <auto kOperation>
struct Served;
template <typename... Arguments, void (*kOperation)(fuse_req_t, Arguments...)>
struct Served<kOperation> {
  static void answer(fuse_req_t request, Arguments... arguments) {
    if (g_watcher.look_for_domain()) {
      kOperation(request, arguments...);
    } else {
      fuse_reply_err(request, ENODEV);
    }
  }
};

// What a control group has not got is refused as the kernel does.
fuse_lowlevel_ops operations() {
  fuse_lowlevel_ops all = {};
  all.init = init;
  all.lookup = Served<lookup>::answer;
  all.forget = forget;
  all.forget_multi = forget_many;
  all.getattr = Served<get_attributes>::answer;
  all.setattr = Served<set_attributes>::answer;
  all.opendir = Served<open_directory>::answer;
  all.readdir = Served<read_directory>::answer;
  all.releasedir = close_directory;
  all.mkdir = Served<make_directory>::answer;
  all.rmdir = Served<remove_directory>::answer;
  all.open = Served<open_file>::answer;
  all.read = Served<read_file>::answer;
  all.write = Served<write_file>::answer;
  all.poll = Served<poll_file>::answer;
  all.release = close_file;
  all.create = refuse<EACCES>;
  all.mknod = refuse<EPERM>;
  all.symlink = refuse<EPERM>;
  all.link = refuse<EPERM>;
  all.unlink = refuse<EPERM>;
  all.rename = refuse<EPERM>;
  return all;
}

// Whether the system's administrator lets users show a mount to others.
bool may_allow_others() {
  if (::geteuid() == 0) return true;
  std::ifstream settings("/etc/fuse.conf");
  for (std::string line; std::getline(settings, line);) {
    if (line == "user_allow_other") return true;
  }
  return false;
}

// A comma would begin another option.
std::string escape(const std::string& value) {
  std::string escaped;
  for (const char c : value) {
    if (c == ',' || c == '\\') escaped += '\\';
    escaped += c;
  }
  return escaped;
}

fuse_session* new_session() {
  static const fuse_lowlevel_ops all = operations();
  std::string options = "default_permissions,noexec,fsname=";
  options += escape(g_segment.path()) + ",subtype=umemcg";
  if (may_allow_others()) options += ",allow_other";
  std::vector<std::string> words = {"umemcg", "-o", options};
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  fuse_args arguments =
      FUSE_ARGS_INIT(static_cast<int>(pointers.size()), pointers.data());
  fuse_session* session =
      fuse_session_new(&arguments, &all, sizeof(all), nullptr);
  fuse_opt_free_args(&arguments);
  return session;
}

void set_view(const MountOptions& options) {
  g_view.hierarchy = options.v1 ? Hierarchy::kV1 : Hierarchy::kV2;
  struct stat info = {};
  ::stat(g_segment.path(), &info);
  g_view.owner = info.st_uid;
  g_view.group = info.st_gid;
  ::clock_gettime(CLOCK_REALTIME, &g_view.since);
}

int run_loop(fuse_session* session) {
  fuse_loop_config* config = fuse_loop_cfg_create();
  fuse_loop_cfg_set_max_threads(config, kMostThreads);
  fuse_loop_cfg_set_idle_threads(config, kIdleThreads);
  const int result = fuse_session_loop_mt(session, config);
  fuse_loop_cfg_destroy(config);
  return result;
}

// What libfuse has said above is not enough to go by.
std::string why_not_mounted(const std::string& directory) {
  constexpr char kDevice[] = "/dev/fuse";
  const int fd = ::open(kDevice, O_RDWR | O_CLOEXEC);
  if (fd < 0) {
    const int error = errno;
    std::string what = std::string(kDevice) + " (" + error_text(error) + "): ";
    if (error == ENOENT) return what + "load the kernel's module fuse";
    if (error == ENODEV || error == ENXIO) {
      return what + "the kernel has no module fuse";
    }
    return what +
           "root must let you open it (as a rule its mode is 0666, and "
           "a container needs --device /dev/fuse)";
  }
  ::close(fd);
  if (::geteuid() == 0) {
    return "the reason is above; a container needs CAP_SYS_ADMIN for it";
  }
  if (::access(directory.c_str(), W_OK) != 0) {
    return directory + " (" + error_text(errno) +
           "): mount on a directory that you may write to";
  }
  return "the reason is above; users other than root need fusermount3, with "
         "its set-user-id bit";
}

// In the background nobody reads stderr.
int fail_gone(const MountOptions& options) {
  const std::string what = std::string("the domain ") + g_segment.path() +
                           " was removed: " + options.directory +
                           " is unmounted";
  if (!options.foreground) ::syslog(LOG_NOTICE, "umemcg: %s", what.c_str());
  return fail(what);
}

}  // namespace

int serve(const MountOptions& options) {
  set_view(options);
  fuse_session* session = new_session();
  if (session == nullptr) return fail("the mount's options are refused");
  if (fuse_session_mount(session, options.directory.c_str()) != 0) {
    fuse_session_destroy(session);
    return fail(options.directory + " cannot be mounted; " +
                why_not_mounted(options.directory));
  }
  fuse_daemonize(options.foreground ? 1 : 0);
  fuse_set_signal_handlers(session);
  g_watcher.start(session, options.directory);
  const int result = run_loop(session);
  fuse_session_unmount(session);
  g_watcher.stop();
  fuse_remove_signal_handlers(session);
  fuse_session_destroy(session);
  // A signal that asks for the end is no failure.
  int status = result >= 0 ? kDone : kFailed;
  if (g_watcher.domain_is_gone()) status = fail_gone(options);
  // The domain keeps what there is to keep; destructors would be for nothing.
  ::_exit(status);
}

}  // namespace umemcg::cgroupfs
