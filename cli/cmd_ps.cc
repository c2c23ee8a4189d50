// `umemcg ps`: the processes of a domain.

#include <iostream>
#include <memory>

#include "cli/census.h"
#include "cli/commands.h"
#include "cli/table.h"

namespace umemcg {
namespace {

struct Options {
  std::string domain;
  bool json = false;
};

void print_table(const std::vector<ProcessEntry>& processes) {
  Table table({"slot", "pid", "name", "group", "charged", "threads"}, "rrllrr");
  for (const ProcessEntry& process : processes) {
    table.add({std::to_string(process.slot), std::to_string(process.pid),
               process.name + (process.ended ? " (ended)" : ""),
               path_of_group(process.group), size_cell(process.charged_pages),
               std::to_string(process.threads)});
  }
  table.print(std::cout);
}

void print_document(const std::vector<ProcessEntry>& processes) {
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (const ProcessEntry& process : processes) {
    const int64_t pages = process.charged_pages;
    rows.push_back({{"slot", process.slot},
                    {"pid", process.pid},
                    {"name", process.name},
                    {"group", path_of_group(process.group)},
                    {"charged_bytes", pages > 0 ? pages << kPageShift : 0},
                    {"threads", process.threads},
                    {"ended", process.ended}});
  }
  print_json({{"domain", g_segment.path()}, {"processes", rows}});
}

int ps(const Options& options) {
  if (!open_domain(options.domain)) return kFailed;
  const Census census = take_census();
  if (options.json) {
    print_document(census.processes);
  } else {
    print_table(census.processes);
  }
  return kDone;
}

}  // namespace

void add_ps_command(CLI::App& app, Action& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("ps", "List the processes, and what each has charged");
  add_domain_option(command, options->domain);
  add_json_flag(command, options->json);
  command->callback(
      [options, &chosen] { chosen = [options] { return ps(*options); }; });
}

}  // namespace umemcg
