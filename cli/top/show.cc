#include "cli/top/show.h"

#include <unistd.h>

#include <algorithm>
#include <iostream>

#include "base/sys.h"
#include "cli/command.h"
#include "cli/ending.h"
#include "cli/printable.h"
#include "cli/table.h"
#include "cli/top/screen.h"

namespace umemcg {
namespace {

constexpr double kShortestInterval = 0.05;
constexpr double kLongestInterval = 24 * 3600;

void print_text(const Feed& feed, const ViewOptions& options, bool first) {
  std::cout << (first ? "" : "\n") << time_of(feed.now(), feed.recorded())
            << "  " << printable(feed.now().domain) << ": "
            << summary_of(feed.now()) << '\n';
  std::vector<Cell> headings;
  std::string alignment;
  for (const Column& column : kViewColumns) {
    headings.push_back({column.heading, Tone::kHeading});
    alignment += column.width == 0 ? 'l' : 'r';
  }
  Table table(headings, alignment);
  for (const ViewRow& row : view_rows(feed.now(), feed.before(), options)) {
    table.add(cells_of(row, options));
  }
  table.print(std::cout);
}

int print_samples(Feed& feed, const ShowOptions& options, bool wait) {
  const Ending ending;
  const auto interval_ns = static_cast<uint64_t>(options.interval_s * 1e9);
  uint64_t due = sys::monotonic_ns();
  for (uint64_t i = 0; options.count == 0 || i < options.count; ++i) {
    while (wait && !ending.asked() && sys::monotonic_ns() < due) {
      ending.wait(due);
    }
    if (ending.asked() || !feed.next()) break;
    if (options.json) {
      std::cout << json_line(
                       json_of_view(feed.now(), feed.before(), options.view))
                << '\n';
    } else {
      print_text(feed, options.view, i == 0);
    }
    std::cout.flush();
    if (!std::cout) break;  // main() says so
    due += interval_ns;
  }
  return kDone;
}

// Why it is over, if that was not asked for.
int say_end(const Feed& feed) {
  if (!feed.error().empty()) return fail(feed.error());
  if (!feed.recorded() && domain_gone()) {
    fail(std::string("the domain ") + g_segment.path() + " has been removed");
  }
  return kDone;
}

}  // namespace

void add_interval_option(CLI::App* command, double& seconds) {
  command
      ->add_option("-d,--interval", seconds,
                   "seconds from one sample to the next (default 1)")
      ->check(CLI::Range(kShortestInterval, kLongestInterval))
      ->type_name("SECONDS");
}

void add_show_options(CLI::App* command, ShowOptions& options) {
  add_interval_option(command, options.interval_s);
  command
      ->add_option("-n,--count", options.count,
                   "print so many samples as text, and end")
      ->check(CLI::Range(uint64_t{1}, UINT64_MAX))
      ->type_name("NUMBER");
  command->add_flag("--once", options.once, "the same as -n 1");
  command
      ->add_option("--sort", options.sort,
                   "usage, growth, events, stall or name (default usage)")
      ->check(CLI::IsMember(
          std::vector<std::string>(kSortNames, kSortNames + kSortKeys)))
      ->type_name("KEY");
  command->add_flag("--flat", options.view.flat,
                    "all groups in one order, not each below its parent");
  command->add_flag("--processes", options.view.processes,
                    "the processes, each below the groups that it has charged");
  command->add_flag("--json", options.json,
                    "print JSON, a line a sample, sizes in bytes");
}

int show_samples(Feed& feed, ShowOptions options, bool wait) {
  if (options.once) options.count = 1;
  options.view.sort = static_cast<SortKey>(
      std::find(kSortNames, kSortNames + kSortKeys, options.sort) - kSortNames);
  const bool screen = options.count == 0 && !options.json &&
                      ::isatty(STDIN_FILENO) == 1 &&
                      ::isatty(STDOUT_FILENO) == 1;
  if (screen) {
    const ScreenEnd end = show_screen(feed, options.view, options.interval_s);
    if (end == ScreenEnd::kNoScreen) {
      const char* name = std::getenv("TERM");
      return fail("the terminal '" + std::string(name != nullptr ? name : "") +
                  "' is not known, or its cursor cannot be moved; set TERM to "
                  "its type, or print text with -n");
    }
    return end == ScreenEnd::kQuit ? kDone : say_end(feed);
  }
  const int status = print_samples(feed, options, wait);
  return status == kDone ? say_end(feed) : status;
}

}  // namespace umemcg
