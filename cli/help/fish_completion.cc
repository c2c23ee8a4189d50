#include "cli/help/completion.h"
#include "cli/help/words.h"

namespace umemcg {
namespace {

constexpr char kHead[] =
    R"sh(# fish completion of umemcg, as `umemcg completion fish` prints it.

# Asks umemcg about the domain that the command line names.
function __umemcg_ask
    set -l words (commandline -opc)
    set -l domain
    for i in (seq 2 (count $words))
        if test "$words[$i]" = --domain; and test $i -lt (count $words)
            set domain --domain $words[(math $i + 1)]
        end
    end
    umemcg $argv[1] $domain 2>/dev/null
end
function __umemcg_processes
    __umemcg_ask ps | awk 'NR > 1 { print $2 "\t" $3 }'
end
function __umemcg_domains
    for file in /dev/shm/umemcg-(id -u)/*
        string replace -r '.*/' '' -- $file
    end
end

complete -c umemcg -f
complete -c umemcg -n __fish_use_subcommand -l help -d 'Print help'
complete -c umemcg -n __fish_use_subcommand -l version -d 'Print the version'
)sh";

// In its single quotes a backslash escapes.
std::string fish_quoted(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '\'' || c == '\\') out += '\\';
    out += c;
  }
  return "'" + out + "'";
}

// What completes a value: arguments of `complete`.
std::string values_of(const OptionSyntax& option) {
  switch (option.kind) {
    case ValueKind::kChoice:
      return " -a " + fish_quoted(joined(option.choices));
    case ValueKind::kGroup:
      return " -a '(__umemcg_ask ls)'";
    case ValueKind::kControlFile:
      return " -a " + fish_quoted(control_file_words());
    case ValueKind::kProcess:
      return " -a '(__umemcg_processes)'";
    case ValueKind::kDomain:
      return " -a '(__umemcg_domains)'";
    case ValueKind::kFile:
      return " -F";
    case ValueKind::kDirectory:
      return " -a '(__fish_complete_directories)'";
    case ValueKind::kCommand:
      return " -F -a '(__fish_complete_command)'";
    default:
      return "";
  }
}

std::string lines_of(const CommandSyntax& command) {
  std::string out = "complete -c umemcg -n __fish_use_subcommand -a " +
                    command.name + " -d " + fish_quoted(command.description) +
                    "\n";
  const std::string inside =
      "complete -c umemcg -n '__fish_seen_subcommand_from " + command.name +
      "'";
  for (const OptionSyntax& option : command.options) {
    out += inside;
    for (const std::string& name : option.names) {
      const bool is_long = name.rfind("--", 0) == 0;
      out += (is_long ? " -l " : " -s ") + name.substr(is_long ? 2 : 1);
    }
    if (option.kind != ValueKind::kFlag) out += " -r" + values_of(option);
    out += " -d " + fish_quoted(option.description) + "\n";
  }
  for (const OptionSyntax& argument : command.arguments) {
    const std::string values = values_of(argument);
    if (!values.empty()) out += inside + values + "\n";
  }
  return out;
}

}  // namespace

std::string fish_completion(const std::vector<CommandSyntax>& commands) {
  std::string out = kHead;
  for (const CommandSyntax& command : commands) out += lines_of(command);
  return out;
}

}  // namespace umemcg
