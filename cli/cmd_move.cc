// `umemcg move`: new charges of a process go to another group.

#include <cerrno>
#include <memory>

#include "accounting/process.h"
#include "cli/commands.h"

namespace umemcg {
namespace {

struct Options {
  std::string domain, path;
  int32_t pid = 0;
  bool json = false;
};

int fail_move(const Options& options, int error, const std::string& advice) {
  return fail("the process " + std::to_string(options.pid) +
              " cannot be moved to " + options.path + " (" + error_text(error) +
              "); " + advice);
}

void print_document(const Options& options) {
  print_json({{"domain", g_segment.path()},
              {"moved",
               {{"pid", options.pid}, {"group", normal_path(options.path)}}}});
}

int move(const Options& options) {
  uint32_t group;
  uint64_t id;
  if (!open_domain(options.domain) ||
      !find_group_at(options.path, &group, &id)) {
    return kFailed;
  }
  const int error = move_pid(g_segment, options.pid, group, id);
  switch (error) {
    case 0:
      if (options.json) print_document(options);
      return kDone;
    case ESRCH:
      return fail_move(options, error,
                       "no live process of the domain has that number; "
                       "`umemcg ps` lists them");
    case ENOENT:
      return fail_move(options, error, "the group was removed just now");
    default:
      return fail_move(options, error,
                       "the domain's lock could not be had; try again");
  }
}

}  // namespace

void add_move_command(CLI::App& app, Action& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "move",
      "Charge a process's new memory to another group; what it has stays");
  add_domain_option(command, options->domain);
  add_json_flag(command, options->json);
  add_pid_option(command, options->pid);
  command->add_option("path", options->path, "the group")
      ->required()
      ->type_name("PATH");
  command->callback(
      [options, &chosen] { chosen = [options] { return move(*options); }; });
}

}  // namespace umemcg
