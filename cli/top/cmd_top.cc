// `umemcg top`: what the groups use, live.

#include <memory>

#include "cli/commands.h"
#include "cli/top/show.h"

namespace umemcg {
namespace {

struct Options {
  std::string domain;
  ShowOptions show;
};

int top(Options& options) {
  uint32_t root;
  if (!open_domain(options.domain) ||
      !find_group_at(options.show.view.root, &root)) {
    return kFailed;
  }
  options.show.view.root = normal_path(options.show.view.root);
  LiveFeed feed;
  return show_samples(feed, options.show, true);
}

}  // namespace

void add_top_command(CLI::App& app, Action& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "top",
      "Show live what each group uses, how that grows, its events and stalls; "
      "keys are shown at the bottom");
  add_domain_option(command, options->domain);
  add_show_options(command, options->show);
  command
      ->add_option("path", options->show.view.root,
                   "from this group on (default /)")
      ->type_name("PATH");
  command->callback(
      [options, &chosen] { chosen = [options] { return top(*options); }; });
}

}  // namespace umemcg
