#include "cli/help/completion.h"
#include "cli/help/words.h"

namespace umemcg {
namespace {

constexpr char kHead[] = R"sh(#compdef umemcg
# zsh completion of umemcg, as `umemcg completion zsh` prints it.

_umemcg_ask() {
  local -a domain
  (( ${+opt_args[--domain]} )) && domain=(--domain "${(Q)opt_args[--domain]}")
  umemcg $1 $domain 2>/dev/null
}
_umemcg_groups() {
  local -a found=("${(@f)$(_umemcg_ask ls)}")
  compadd -a found
}
_umemcg_processes() {
  local -a found=(${(f)"$(_umemcg_ask ps | awk 'NR > 1 { print $2 }')"})
  compadd -a found
}
_umemcg_domains() {
  local -a found=(/dev/shm/umemcg-$UID/*(.N:t))
  compadd -a found
}
)sh";

constexpr char kTail[] = R"sh(
# Found by its name in fpath, or read by the shell itself.
if [[ $funcstack[1] == _umemcg ]]; then
  _umemcg "$@"
else
  compdef _umemcg umemcg
fi
)sh";

std::string action_of(const OptionSyntax& option) {
  switch (option.kind) {
    case ValueKind::kChoice:
      return "(" + joined(option.choices) + ")";
    case ValueKind::kGroup:
      return "_umemcg_groups";
    case ValueKind::kControlFile:
      return "_umemcg_control_files";
    case ValueKind::kProcess:
      return "_umemcg_processes";
    case ValueKind::kDomain:
      return "_umemcg_domains";
    case ValueKind::kFile:
      return "_files";
    case ValueKind::kDirectory:
      return "_files -/";
    case ValueKind::kCommand:
      return "_normal";
    default:
      return " ";
  }
}

// A text in a specification of _arguments.
std::string in_specification(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '[' || c == ']' || c == ':' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

// What _arguments is given for a command.
std::string specifications_of(const CommandSyntax& command) {
  std::vector<std::string> list;
  for (const OptionSyntax& option : command.options) {
    for (const std::string& name : option.names) {
      list.push_back(name + "[" + in_specification(option.description) + "]");
      if (option.kind == ValueKind::kFlag) continue;
      list.back() +=
          ":" + in_specification(option.value) + ":" + action_of(option);
    }
  }
  for (const OptionSyntax& argument : command.arguments) {
    const char* where = argument.kind == ValueKind::kCommand ? "*::"
                        : argument.many                      ? "*:"
                                                             : ":";
    list.push_back(where + in_specification(argument.value) + ":" +
                   action_of(argument));
  }
  std::string out;
  for (const std::string& one : list) {
    out += " \\\n          " + shell_quoted(one);
  }
  return out;
}

}  // namespace

std::string zsh_completion(const std::vector<CommandSyntax>& commands) {
  std::string names, cases;
  for (const CommandSyntax& command : commands) {
    names += "        " +
             shell_quoted(command.name + ":" +
                          in_specification(command.description)) +
             "\n";
    cases += "        " + command.name + ")\n          _arguments" +
             specifications_of(command) + " ;;\n";
  }
  return kHead + std::string("_umemcg_control_files() {\n  compadd -- ") +
         control_file_words() +
         "\n}\n\n_umemcg() {\n"
         "  local curcontext=$curcontext state line\n"
         "  typeset -A opt_args\n"
         "  _arguments -C '(- *)--help[Print help]' \\\n"
         "    '(- *)--version[Print the version]' \\\n"
         "    '1:command:->command' '*::argument:->argument'\n"
         "  case $state in\n"
         "    command)\n      local -a commands=(\n" +
         names +
         "      )\n      _describe command commands ;;\n"
         "    argument)\n      case $words[1] in\n" +
         cases + "      esac ;;\n  esac\n}\n" + kTail;
}

}  // namespace umemcg
