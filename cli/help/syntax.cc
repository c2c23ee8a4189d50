#include "cli/help/syntax.h"

#include <algorithm>
#include <map>
#include <sstream>

namespace umemcg {
namespace {

bool is_name(const std::string& text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return c >= 'A' && c <= 'Z';
  });
}

// What follows the name of a type is what a check says of itself: "KEY:{a,b}".
std::string type_of(const CLI::Option& option) {
  const std::string type = option.get_type_name();
  // (A name may have a colon of its own: HOST:PORT.)
  size_t end = type.find(':', 1);
  while (end != std::string::npos) {
    const size_t next = type.find(':', end + 1);
    if (!is_name(type.substr(end + 1, next - end - 1))) break;
    end = next;
  }
  return type.substr(0, end);
}

std::vector<std::string> choices_of(const CLI::Option& option) {
  const std::string type = option.get_type_name();
  const size_t start = type.find(":{"), end = type.find('}');
  std::vector<std::string> choices;
  if (start == std::string::npos || end == std::string::npos) return choices;
  std::istringstream list(type.substr(start + 2, end - start - 2));
  for (std::string choice; std::getline(list, choice, ',');) {
    choices.push_back(choice);
  }
  return choices;
}

// By the name of the type. A FILE that is no option's value is a control file.
ValueKind kind_of(const OptionSyntax& option) {
  static const std::map<std::string, ValueKind> kKinds = {
      {"PATH", ValueKind::kGroup},       {"PID", ValueKind::kProcess},
      {"NAME", ValueKind::kDomain},      {"RECORDING", ValueKind::kFile},
      {"DIR", ValueKind::kDirectory},    {"CMD ARGS...", ValueKind::kCommand},
      {"FILE", ValueKind::kControlFile},
  };
  if (option.value.empty() || option.value[0] == '[') return ValueKind::kFlag;
  if (!option.choices.empty()) return ValueKind::kChoice;
  if (option.value == "FILE" && !option.names.empty()) return ValueKind::kFile;
  const auto kind = kKinds.find(option.value);
  return kind != kKinds.end() ? kind->second : ValueKind::kOther;
}

OptionSyntax option_of(const CLI::Option& option) {
  OptionSyntax syntax;
  for (const std::string& name : option.get_snames()) {
    syntax.names.push_back("-" + name);
  }
  for (const std::string& name : option.get_lnames()) {
    syntax.names.push_back("--" + name);
  }
  const bool flag = option.get_items_expected_max() == 0;
  const std::string type = type_of(option);
  if (!flag || type.rfind('[', 0) == 0) syntax.value = type;
  syntax.choices = choices_of(option);
  syntax.kind = kind_of(syntax);
  syntax.description = option.get_description();
  syntax.required = option.get_required();
  syntax.many = option.get_items_expected_max() > 1;
  return syntax;
}

}  // namespace

std::vector<CommandSyntax> commands_of(const CLI::App& app) {
  std::vector<CommandSyntax> commands;
  for (const CLI::App* command : app.get_subcommands({})) {
    CommandSyntax syntax;
    syntax.name = command->get_name();
    syntax.description = command->get_description();
    for (const CLI::Option* option : command->get_options()) {
      auto& list = option->get_positional() ? syntax.arguments : syntax.options;
      list.push_back(option_of(*option));
    }
    commands.push_back(std::move(syntax));
  }
  return commands;
}

std::string synopsis_of(const CommandSyntax& command) {
  std::string text = "umemcg " + command.name + " [OPTIONS]";
  for (const OptionSyntax& argument : command.arguments) {
    std::string value = argument.value;
    if (argument.kind == ValueKind::kCommand) value = "-- " + value;
    if (argument.many && argument.kind != ValueKind::kCommand) value += "...";
    text += argument.required ? " " + value : " [" + value + "]";
  }
  return text;
}

}  // namespace umemcg
