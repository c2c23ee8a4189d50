// What `top` and `replay` have in common: their options, and showing samples on
// a screen, as text or as JSON.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "cli/top/feed.h"
#include "cli/top/view.h"

namespace umemcg {

struct ShowOptions {
  ViewOptions view;
  std::string sort = "usage";
  double interval_s = 1;
  uint64_t count = 0;  // 0: until it is told to end
  bool once = false;
  bool json = false;
};

// How often samples are taken: -d, at least 50 ms.
void add_interval_option(CLI::App* command, double& seconds);
void add_show_options(CLI::App* command, ShowOptions& options);

// On a screen, if stdin and stdout are terminals and no count was given; else a
// table, or a line of JSON, a sample. Without `wait` one right after the other.
// The command's exit status.
int show_samples(Feed& feed, ShowOptions options, bool wait);

}  // namespace umemcg
