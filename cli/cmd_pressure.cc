// `umemcg pressure`: for how long threads stood still for want of memory.

#include <cstdio>
#include <iostream>
#include <memory>

#include "cli/colour.h"
#include "cli/commands.h"
#include "cli/control_text.h"
#include "cli/group_tree.h"
#include "cli/table.h"

namespace umemcg {
namespace {

using Json = nlohmann::ordered_json;

struct Options {
  std::string domain, path = "/";
  bool json = false;
};

// "0.25" percent, as the control file has it.
Cell percent_cell(double percent) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.2f", percent);
  return {text, tone_of_count(percent > 0)};
}

Cell seconds_cell(uint64_t us) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.3f s", static_cast<double>(us) / 1e6);
  return {text, tone_of_count(us)};
}

std::vector<Cell> cells(const std::string& path, const Json& pressure) {
  std::vector<Cell> row = {path};
  for (const char* state : {"some", "full"}) {
    for (const char* average : {"avg10", "avg60", "avg300"}) {
      row.push_back(pressure.is_null()
                        ? Cell("off")
                        : percent_cell(pressure[state][average]));
    }
    row.push_back(pressure.is_null() ? Cell("off")
                                     : seconds_cell(pressure[state]["total"]));
  }
  return row;
}

int pressure(const Options& options) {
  uint32_t root;
  if (!open_domain(options.domain) || !find_group_at(options.path, &root)) {
    return kFailed;
  }
  const ControlFile* file = find_control_file("memory.pressure");
  Table table({"group", "some 10 s", "60 s", "300 s", "total", "full 10 s",
               "60 s", "300 s", "total"},
              "lrrrrrrrr");
  Json groups = Json::object();
  for (const TreeEntry& entry : list_subtree(root)) {
    Json pressure;  // null: it is not counted there
    if (has_control_file(g_segment, entry.group, *file)) {
      pressure = control_file_json(*file, entry.group);
    }
    table.add(cells(entry.path, pressure));
    groups[entry.path] = pressure;
  }
  if (options.json) {
    print_json({{"domain", g_segment.path()}, {"groups", groups}});
  } else {
    table.print(std::cout);
  }
  return kDone;
}

}  // namespace

void add_pressure_command(CLI::App& app, Action& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "pressure",
      "Show for how much of the time threads of each group stood still for "
      "want of memory: some of them, and all that could run (full), in "
      "percent");
  add_domain_option(command, options->domain);
  add_json_flag(command, options->json);
  command->add_option("path", options->path, "from this group on (default /)")
      ->type_name("PATH");
  command->callback([options, &chosen] {
    chosen = [options] { return pressure(*options); };
  });
}

}  // namespace umemcg
