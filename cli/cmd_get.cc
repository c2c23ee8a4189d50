// `umemcg get`: the bare content of a control file.

#include <unistd.h>

#include <cerrno>
#include <iostream>
#include <memory>

#include "cli/commands.h"
#include "cli/control_text.h"
#include "cli/printable.h"

namespace umemcg {
namespace {

struct Options {
  std::string domain, path, file;
  bool json = false;
  bool v1 = false;
};

int get(const Options& options) {
  uint32_t group;
  const ControlFile* file;
  if (!open_domain(options.domain) || !find_group_at(options.path, &group) ||
      !find_file(options.path, group, options.file, &file, options.v1)) {
    return kFailed;
  }
  if (file->show == nullptr) {
    return fail(options.file + " cannot be read (" + error_text(EINVAL) +
                "), only written");
  }
  if (options.json) {
    print_json(control_file_json(*file, group));
  } else {
    const std::string content = read_control_file(*file, group);
    const bool terminal = ::isatty(STDOUT_FILENO) == 1;
    std::cout << (terminal ? printable_lines(content) : content);
  }
  return kDone;
}

}  // namespace

void add_get_command(CLI::App& app, Action& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("get", "Print a control file of a group");
  add_domain_option(command, options->domain);
  add_json_flag(command, options->json);
  add_v1_flag(command, options->v1);
  command->add_option("path", options->path, "the group")
      ->required()
      ->type_name("PATH");
  command
      ->add_option("file", options->file,
                   "such as memory.current; umemcg files lists them")
      ->required()
      ->type_name("FILE");
  command->callback(
      [options, &chosen] { chosen = [options] { return get(*options); }; });
}

}  // namespace umemcg
