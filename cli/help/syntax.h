// The commands and their options as the command line itself knows them: what
// completion and the manual page are written from, so that neither can be
// stale.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace umemcg {

// What a value is: files and groups can be listed, of others nothing is known.
enum class ValueKind {
  kFlag,  // there is none
  kOther,
  kChoice,
  kGroup,
  kControlFile,
  kProcess,
  kDomain,
  kFile,
  kDirectory,
  kCommand,  // a program, and its arguments
};

struct OptionSyntax {
  std::vector<std::string> names;  // "-d", "--interval"; of an argument none
  std::string value;               // "SECONDS"; of a flag empty
  ValueKind kind = ValueKind::kFlag;
  std::vector<std::string> choices;
  std::string description;
  bool required = false;
  bool many = false;
};

struct CommandSyntax {
  std::string name, description;
  std::vector<OptionSyntax> options, arguments;
};

std::vector<CommandSyntax> commands_of(const CLI::App& app);

// "umemcg get [OPTIONS] PATH FILE".
std::string synopsis_of(const CommandSyntax& command);

}  // namespace umemcg
