// `umemcg ls`: the paths of the groups.

#include <unistd.h>

#include <iostream>
#include <memory>

#include "accounting/mem_cgroup.h"
#include "cli/commands.h"
#include "cli/group_tree.h"
#include "cli/printable.h"

namespace umemcg {
namespace {

struct Options {
  std::string domain, path = "/";
  bool json = false;
};

int ls(const Options& options) {
  uint32_t root;
  if (!open_domain(options.domain) || !find_group_at(options.path, &root)) {
    return kFailed;
  }
  // Into a pipe the names go as they are.
  const bool terminal = ::isatty(STDOUT_FILENO) == 1;
  nlohmann::ordered_json groups = nlohmann::ordered_json::array();
  for (const TreeEntry& entry : list_subtree(root)) {
    if (options.json) {
      groups.push_back(
          {{"path", entry.path}, {"id", group_id(g_segment, entry.group)}});
    } else {
      std::cout << (terminal ? printable(entry.path) : entry.path) << '\n';
    }
  }
  if (options.json) {
    print_json({{"domain", g_segment.path()}, {"groups", groups}});
  }
  return kDone;
}

}  // namespace

void add_ls_command(CLI::App& app, Action& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("ls", "Print the path of a group and those below it");
  add_domain_option(command, options->domain);
  add_json_flag(command, options->json);
  command->add_option("path", options->path, "the group (default /)")
      ->type_name("PATH");
  command->callback(
      [options, &chosen] { chosen = [options] { return ls(*options); }; });
}

}  // namespace umemcg
