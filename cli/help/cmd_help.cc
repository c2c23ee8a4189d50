// `umemcg completion` and `umemcg man`: printed from the command line's own
// definition.

#include <iostream>
#include <memory>

#include "cli/commands.h"
#include "cli/help/completion.h"
#include "cli/help/manual.h"

namespace umemcg {
namespace {

std::string completion_for(const std::string& shell, const CLI::App& app) {
  const std::vector<CommandSyntax> commands = commands_of(app);
  if (shell == "bash") return bash_completion(commands);
  return shell == "zsh" ? zsh_completion(commands) : fish_completion(commands);
}

}  // namespace

void add_completion_command(CLI::App& app, Action& chosen) {
  auto shell = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand(
      "completion",
      "Print a script that completes umemcg's command line: source "
      "<(umemcg completion bash)");
  command->add_option("shell", *shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}))
      ->type_name("SHELL");
  command->callback([shell, &app, &chosen] {
    chosen = [shell, &app] {
      std::cout << completion_for(*shell, app);
      return kDone;
    };
  });
}

void add_man_command(CLI::App& app, Action& chosen) {
  CLI::App* command =
      app.add_subcommand("man", "Print the manual page: umemcg man | man -l -");
  command->callback([&app, &chosen] {
    chosen = [&app] {
      std::cout << manual_page(commands_of(app));
      return kDone;
    };
  });
}

}  // namespace umemcg
