// `umemcg replay`: `top` over a recording.

#include <iostream>
#include <memory>

#include "cli/commands.h"
#include "cli/top/show.h"

namespace umemcg {
namespace {

struct Options {
  std::string file;
  ShowOptions show;
};

// Whether some sample has that group, or is broken: that is said later.
bool is_in(Recording& recording, const std::string& path) {
  for (size_t i = 0; i < recording.size(); ++i) {
    Sample sample;
    if (!recording.read(i, &sample).empty()) return true;
    for (const GroupSample& group : sample.groups) {
      if (group.path == path) return true;
    }
  }
  return false;
}

int replay(Options& options) {
  Recording recording;
  if (const std::string why = recording.open(options.file); !why.empty()) {
    return fail(why);
  }
  if (recording.cut_off()) {
    fail(options.file + ":" + std::to_string(recording.size() + 2) +
         ": the last line is cut off and is left out");
  }
  options.show.view.root = normal_path(options.show.view.root);
  if (!is_in(recording, options.show.view.root)) {
    return fail("there is no group " + options.show.view.root + " in " +
                options.file +
                "; `umemcg replay --once` prints those of its first sample");
  }
  RecordedFeed feed(recording);
  return show_samples(feed, options.show, false);
}

}  // namespace

void add_replay_command(CLI::App& app, Action& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "replay",
      "Show a recording as top shows the domain; , and . go back and on");
  add_show_options(command, options->show);
  command->add_option("file", options->file, "what umemcg record has written")
      ->required()
      ->type_name("RECORDING");
  command
      ->add_option("path", options->show.view.root,
                   "from this group on (default /)")
      ->type_name("PATH");
  command->callback(
      [options, &chosen] { chosen = [options] { return replay(*options); }; });
}

}  // namespace umemcg
