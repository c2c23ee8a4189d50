#include "cli/run.h"

#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <thread>

#include "accounting/mem_cgroup.h"
#include "accounting/oom_policy.h"
#include "accounting/process.h"
#include "accounting/report.h"
#include "accounting/size.h"
#include "accounting/tree_change.h"
#include "cli/help/exit_status.h"
#include "cli/json_report.h"
#include "cli/launch.h"
#include "cli/library.h"
#include "cli/program.h"
#include "cli/run_domain.h"

namespace umemcg {
namespace {

namespace fs = std::filesystem;

int fail_run(const std::string& what) {
  fail(what);
  return kUmemcgFailed;
}

void add_size(CLI::App* command, const std::string& name,
              std::optional<int64_t>& pages, const std::string& help) {
  command
      ->add_option_function<std::string>(
          name,
          [&pages, name](const std::string& text) {
            int64_t value;
            if (parse_size(text.c_str(), &value) != 0 ||
                (name == "--reserve" && value == kPageCounterMax)) {
              throw CLI::ValidationError(
                  name, "'" + text +
                            "' is not a size: bytes with an optional suffix "
                            "K M G T, such as 512M, or max");
            }
            pages = value;
          },
          help)
      ->type_name("SIZE");
}

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

// Inside another run, or wherever else the environment says that programs
// belong: below that group, whose limits hold for this one too.
std::string group_name(const RunOptions& options) {
  if (!options.group.empty()) return options.group;
  const bool inside =
      options.domain.empty() && !variable("UMEMCG_DOMAIN").empty();
  const std::string above = inside ? variable("UMEMCG_GROUP") : "";
  return normal_path(above + "/" +
                     fs::path(options.command[0]).filename().string() + "." +
                     std::to_string(::getpid()));
}

// Or children that a process which was there has forked, and that may start
// another program in the group.
bool somebody_is_in(uint32_t group) {
  reap_dead_processes(g_segment);
  for (uint32_t i = 0; i < g_segment.processes_used(); ++i) {
    const ProcessSlot& slot = *g_segment.process(i);
    // acquire: pairs with the reaping of the process.
    if (slot.state.load(std::memory_order_acquire) != ProcessState::kFree &&
        slot.group.load(std::memory_order_relaxed) == group) {
      return true;
    }
  }
  return false;
}

// The group that run has named itself goes with the command, unless that has
// left somebody there: who came after it was removed would make it anew,
// without its limits. So there are two looks, with a program's start in
// between.
void leave_group(const RunOptions& options, const std::string& path) {
  const uint32_t group = find_group(g_segment, path.c_str());
  if (!options.group.empty() || group == kNone) return;
  const uint64_t id = group_id(g_segment, group);
  if (somebody_is_in(group)) return;
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  if (!somebody_is_in(group)) remove_group(g_segment, group, id);
}

// As for a program that makes the group itself: what is not said on the command
// line is taken from there. (A bad value is told by the program.)
void take_environment(RunOptions& options) {
  auto take = [](const char* name, std::optional<int64_t>& pages) {
    const char* text = std::getenv(name);
    int64_t value;
    if (pages || text == nullptr || parse_size(text, &value) != 0) return;
    pages = value;
  };
  take("UMEMCG_MAX", options.max);
  take("UMEMCG_HIGH", options.high);
  take("UMEMCG_LOW", options.low);
  take("UMEMCG_MIN", options.min);
  take("UMEMCG_RESERVE", options.reserve);
  if (options.reserve == kPageCounterMax) options.reserve.reset();
  const char* oom = std::getenv("UMEMCG_OOM");
  if (options.oom.empty() && oom != nullptr) options.oom = oom;
}

// Makes the group with its limits; empty, or what went wrong.
std::string make_group(RunOptions options, const std::string& path) {
  if (path.find_first_not_of('/') == std::string::npos) {
    return "the group " + path +
           " is the root, which has no limits; name one "
           "below it, such as /a";
  }
  uint32_t index;
  bool made = false;
  int error = create_group(g_segment, path.c_str(), &index, &made);
  if (error != 0) return no_group_text(path, error);
  // (Killed in the middle of it, what protection sums up would be wrong.)
  TreeChange change(g_segment);
  if (!change.held()) return "the domain's lock could not be had; try again";
  if (made) take_environment(options);
  Group& group = *g_segment.group(index);
  if (options.max) {
    group.memory.store_max(*options.max);
    group.memory.set_reserve(default_reserve(*options.max));
  }
  if (options.reserve) group.memory.set_reserve(*options.reserve);
  if (options.high) group.high.store(*options.high, std::memory_order_relaxed);
  if (options.low) group.memory.set_low(*options.low);
  if (options.min) group.memory.set_min(*options.min);
  if (!options.oom.empty()) set_oom_policy(group, options.oom.c_str());
  return "";
}

void append(const TextBuffer& line, void* text) {
  *static_cast<std::string*>(text) += line.c_str();
}

// Opened before the command runs: hours are not spent for a report that cannot
// be written. A negative number if it cannot.
int open_report(const RunOptions& options) {
  if (options.report.empty() || options.report == "-") return 2;
  int fd = ::open(options.report.c_str(),
                  O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd < 0) {
    fail("the report cannot be written to " + options.report + " (" +
         std::strerror(errno) + "); name a file in a folder that is there");
  }
  return fd;
}

// Of the subtree of `root`.
int report(const RunOptions& options, uint32_t root, int fd, int status) {
  if (options.report.empty() && !options.json) return status;
  std::string text;
  if (options.json) {
    text = json_report(status, root) + "\n";
  } else {
    write_report(g_segment, append, &text, root);
  }
  const int error = write_all(fd, text);
  if (error != 0) {
    fail("the report cannot be written to " +
         (fd == 2 ? "stderr" : options.report) + " (" + error_text(error) +
         ")");
  }
  if (fd != 2) ::close(fd);
  return status;
}

}  // namespace

void add_run_command(CLI::App& app, RunOptions& options, Action& chosen) {
  CLI::App* run = app.add_subcommand(
      "run", "Run a command and all its children under one limit");
  add_size(run, "--max", options.max, "hard limit; beyond it malloc fails");
  add_size(run, "--high", options.high, "above it the program is slowed");
  add_size(run, "--low", options.low, "best-effort protection from reclaim");
  add_size(run, "--min", options.min, "hard protection from reclaim");
  add_size(run, "--reserve", options.reserve,
           "over max, for small requests after a refusal (default 1 % of "
           "max, 64K to 256K)");
  run->add_option("--oom", options.oom,
                  "what happens when nothing can be reclaimed")
      ->type_name("POLICY:{fail,kill,callback,wait}")
      ->check([](const std::string& text) {
        OomPolicy policy;
        uint32_t wait_ms;
        return parse_oom_policy(text.c_str(), &policy, &wait_ms) == 0
                   ? std::string()
                   : "'" + text +
                         "' is not a policy: fail, kill, callback, wait or "
                         "'wait MILLISECONDS'";
      });
  run->add_option("--group", options.group, "group to run in, such as /a/b")
      ->type_name("PATH");
  run->add_option("--domain", options.domain,
                  "join (or make) this domain instead of a private one "
                  "(default: $UMEMCG_DOMAIN, as inside another run)")
      ->type_name("NAME");
  // A flag that may have a value: it never takes the word after it.
  run->add_flag("--report{-}", options.report,
                "print a report at the end, on stderr or into FILE")
      ->type_name("[=FILE]");
  run->add_flag("--json", options.json, "the report as JSON");
  run->add_option("command", options.command, "command and its arguments")
      ->required()
      ->type_name("CMD ARGS...");
  run->footer(kRunExitStatus);
  run->positionals_at_end();
  run->prefix_command(false);
  run->callback([&options, &chosen] {
    chosen = [&options] { return run_command(options); };
  });
}

int run_command(const RunOptions& options) {
  Program program;
  if (int status = find_program(options.command[0], &program); status != 0) {
    return status;
  }
  RunDomain domain;
  std::string error = domain.open(
      options.domain.empty() ? variable("UMEMCG_DOMAIN") : options.domain);
  if (!error.empty()) return fail_run(error);
  PreloadPath library;
  error = library.find(domain.path());
  if (!error.empty()) return fail_run(error);
  const std::string group = group_name(options);
  error = make_group(options, group);
  if (!error.empty()) return fail_run(error);
  const int report_fd = open_report(options);
  if (report_fd < 0) {
    leave_group(options, group);
    return kUmemcgFailed;
  }
  // Each process applies these as it starts: they must not undo the options.
  if (options.max) ::unsetenv("UMEMCG_MAX");
  if (options.high) ::unsetenv("UMEMCG_HIGH");
  if (options.low) ::unsetenv("UMEMCG_LOW");
  if (options.min) ::unsetenv("UMEMCG_MIN");
  if (options.reserve) ::unsetenv("UMEMCG_RESERVE");
  // Who says `umemcg run` means it.
  ::unsetenv("UMEMCG_DISABLE");
  Launch launch;
  launch.program = program.path;
  launch.arguments = options.command;
  launch.environment = {{"UMEMCG_DOMAIN", domain.path()},
                        {"UMEMCG_GROUP", group},
                        {"LD_PRELOAD", library.preload()}};
  int status = launch_and_wait(launch);
  domain.settle();
  // Others' groups in a domain that was not asked for are none of its business.
  const bool all = !options.domain.empty() || variable("UMEMCG_DOMAIN").empty();
  const uint32_t own = find_group(g_segment, group.c_str());
  const uint32_t root = all || own == kNone ? kRootGroup : own;
  status = report(options, root, report_fd, status);
  leave_group(options, group);
  return status;
}

}  // namespace umemcg
