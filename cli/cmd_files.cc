// `umemcg files`: the control files that a group has, and what they are for.

#include <iostream>
#include <memory>

#include "accounting/control_file.h"
#include "cli/commands.h"
#include "cli/control_text.h"
#include "cli/table.h"

namespace umemcg {
namespace {

struct Options {
  std::string domain;
  bool v1 = false;
  bool json = false;
};

std::string mode_text(const ControlFile& file) {
  return std::string(file.show != nullptr ? "r" : "-") +
         (file.set != nullptr ? "w" : "-");
}

nlohmann::ordered_json file_json(const ControlFile& file) {
  nlohmann::ordered_json object = {
      {"name", file.name}, {"mode", mode_text(file)}, {"about", file.about}};
  if (file.takes != nullptr) object["takes"] = file.takes;
  return object;
}

int list_files(const Options& options) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  Table table({"file", "mode", "about"}, "lll");
  for (const ControlFile* file = control_files(hierarchy_of(options.v1));
       file->name != nullptr; ++file) {
    list.push_back(file_json(*file));
    table.add({file->name, mode_text(*file), file->about});
  }
  if (options.json) {
    print_json({{"files", list}});
  } else {
    table.print(std::cout);
  }
  return kDone;
}

}  // namespace

void add_files_command(CLI::App& app, Action& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("files",
                         "List the control files of a group: they are the "
                         "same in every domain");
  command
      ->add_option("--domain", options->domain,
                   "taken as by the other commands, without effect")
      ->type_name("NAME");
  add_json_flag(command, options->json);
  add_v1_flag(command, options->v1);
  command->callback([options, &chosen] {
    chosen = [options] { return list_files(*options); };
  });
}

}  // namespace umemcg
