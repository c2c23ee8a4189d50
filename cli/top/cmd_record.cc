// `umemcg record`: writes samples to a file, for `umemcg replay`.

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <iostream>
#include <memory>

#include "base/sys.h"
#include "cli/commands.h"
#include "cli/ending.h"
#include "cli/top/feed.h"
#include "cli/top/recording.h"
#include "cli/top/sample_json.h"
#include "cli/top/show.h"

namespace umemcg {
namespace {

struct Options {
  std::string domain, file;
  double interval_s = 1;
  uint64_t count = 0;
  bool json = false;
};

// Until the count is reached, somebody ends it or the domain is gone. 0 or an
// error number; each line goes out whole.
int write_samples(const Options& options, int fd, uint64_t* written) {
  const Ending ending;
  const auto interval_ns = static_cast<uint64_t>(options.interval_s * 1e9);
  LiveFeed feed;
  int error = write_all(
      fd, recording_header(g_segment.path(), options.interval_s) + "\n");
  uint64_t due = sys::monotonic_ns();
  while (error == 0 && (options.count == 0 || *written < options.count)) {
    while (!ending.asked() && sys::monotonic_ns() < due) ending.wait(due);
    if (ending.asked() || !feed.next()) break;
    error = write_all(fd, json_line(json_of_sample(feed.now())) + "\n");
    *written += error == 0;
    due += interval_ns;
  }
  return error;
}

// A mistyped name, or one that somebody else has put there, must not cost a
// file: no link is followed, and only a recording or nothing is written over.
// A negative number, with a line on stderr, if it cannot be had.
int open_recording(const std::string& path) {
  if (path == "-") return ::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0);
  const int fd =
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0666);
  struct stat info = {};
  if (fd < 0 || ::fstat(fd, &info) != 0) {
    const int error = errno;
    fail(path + " cannot be written (" + error_text(error) +
         "); name a file that is no link, in a folder that can be written");
    return -1;
  }
  if (!S_ISREG(info.st_mode)) return fd;
  if ((info.st_size == 0 || is_recording(fd)) && ::ftruncate(fd, 0) == 0) {
    return fd;
  }
  ::close(fd);
  fail(path + " is no recording and is not written over (" +
       error_text(EEXIST) + "); name another file, or remove it first");
  return -1;
}

int record(const Options& options) {
  if (!open_domain(options.domain)) return kFailed;
  const int fd = open_recording(options.file);
  if (fd < 0) return kFailed;
  uint64_t written = 0;
  int error = write_samples(options, fd, &written);
  if (::close(fd) != 0 && error == 0) error = errno;
  if (error != 0) {
    return fail(options.file + " cannot be written (" + error_text(error) +
                "); " + std::to_string(written) + " samples are in it");
  }
  if (options.file == "-") return kDone;
  if (options.json) {
    print_json({{"domain", g_segment.path()},
                {"recorded", {{"file", options.file}, {"samples", written}}}});
  } else {
    std::cout << written << (written == 1 ? " sample in " : " samples in ")
              << options.file << '\n';
  }
  return kDone;
}

}  // namespace

void add_record_command(CLI::App& app, Action& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "record", "Write samples to a file until interrupted, for umemcg replay");
  add_domain_option(command, options->domain);
  add_json_flag(command, options->json);
  add_interval_option(command, options->interval_s);
  command->add_option("-n,--count", options->count, "end after so many samples")
      ->check(CLI::Range(uint64_t{1}, UINT64_MAX))
      ->type_name("NUMBER");
  command
      ->add_option("file", options->file,
                   "is written anew; -: to stdout, and nothing else")
      ->required()
      ->type_name("RECORDING");
  command->callback(
      [options, &chosen] { chosen = [options] { return record(*options); }; });
}

}  // namespace umemcg
