#include "cli/help/completion.h"
#include "cli/help/words.h"

namespace umemcg {
namespace {

// Names are looked through line by line, never as words of the shell's: they
// may hold anything.
constexpr char kHead[] =
    R"sh(# bash completion of umemcg, as `umemcg completion bash` prints it.

# Takes the lines that begin with what is typed.
_umemcg_lines() {
  local line
  while IFS= read -r line; do
    [[ $line == "$cur"* ]] && COMPREPLY+=("$(printf '%q' "$line")")
  done
}

# The same for words that are known.
_umemcg_words() {
  _umemcg_lines < <(printf '%s\n' "$@")
}

# Asks umemcg about the domain that the command line names.
_umemcg_ask() {
  local verb=$1 i
  local -a domain=()
  for ((i = 2; i + 1 < ${#words[@]}; i++)); do
    if [[ ${words[i]} == --domain ]]; then
      domain=(--domain "${words[i + 1]}")
    fi
  done
  "${COMP_WORDS[0]}" "$verb" "${domain[@]}" 2>/dev/null
}

_umemcg_domains() {
  local file
  for file in /dev/shm/umemcg-"$UID"/*; do
    [[ -f $file ]] && printf '%s\n' "${file##*/}"
  done
}

# The control files that the command can use.
_umemcg_files() {
  local mode=r word
  local -a hierarchy=()
  [[ ${words[1]} == set ]] && mode=w
  for word in "${words[@]}"; do
    [[ $word == --v1 ]] && hierarchy=(--v1)
  done
  "${COMP_WORDS[0]}" files "${hierarchy[@]}" 2>/dev/null |
    awk -v mode="$mode" 'NR > 1 && index($2, mode) { print $1 }'
}

_umemcg_value() {
  local kind=$1
  local -a choices
  case $kind in
    choice:*)
      read -ra choices <<<"${kind#choice:}"
      _umemcg_words "${choices[@]}" ;;
    control) _umemcg_lines < <(_umemcg_files) ;;
    group) _umemcg_lines < <(_umemcg_ask ls) ;;
    process) _umemcg_lines < <(_umemcg_ask ps | awk 'NR > 1 { print $2 }') ;;
    domain) _umemcg_lines < <(_umemcg_domains) ;;
    directory) _umemcg_lines < <(compgen -d -- "$cur") ;;
    file) _umemcg_lines < <(compgen -f -- "$cur") ;;
    command) _umemcg_lines < <(compgen -c -f -- "$cur") ;;
  esac
}
)sh";

constexpr char kTail[] = R"sh(
# Takes --option=value apart, of which readline has made three words where "="
# is in COMP_WORDBREAKS.
_umemcg_split() {
  local i word
  for ((i = 0; i < ${#COMP_WORDS[@]}; i++)); do
    word=${COMP_WORDS[i]}
    if [[ $word == = && ${words[-1]} == --* ]]; then
      ((i == COMP_CWORD)) && words+=("")
    elif [[ $word == --*=* ]]; then
      words+=("${word%%=*}" "${word#*=}")
      ((i == COMP_CWORD)) && prefix=${word%%=*}=
    else
      words+=("$word")
    fi
    ((i == COMP_CWORD)) && cword=$((${#words[@]} - 1))
  done
}

_umemcg() {
  local cur cword prefix="" i place=0 repeat=0 skip=0
  local -A values=()
  local -a words=() options=() arguments=()
  COMPREPLY=()
  _umemcg_split
  cur=${words[cword]}
  if ((cword == 1)); then
    _umemcg_words "${_umemcg_commands[@]}" --help --version
    return
  fi
  _umemcg_syntax "${words[1]}" || return
  # How many arguments there are before this word.
  for ((i = 2; i < cword; i++)); do
    if ((skip)); then
      skip=0
    elif [[ ${words[i]} == -* ]]; then
      [[ -n ${values[${words[i]}]} ]] && skip=1
    else
      ((place++))
    fi
  done
  if ((skip)); then
    _umemcg_value "${values[${words[cword - 1]}]}"
    COMPREPLY=("${COMPREPLY[@]/#/$prefix}")
  elif [[ $cur == -* ]]; then
    _umemcg_words "${options[@]}"
  else
    ((repeat && place >= ${#arguments[@]})) && place=$((${#arguments[@]} - 1))
    _umemcg_value "${arguments[place]-}"
  fi
}

complete -F _umemcg umemcg
)sh";

// The word for a kind of value in the script.
std::string kind_word(const OptionSyntax& option) {
  switch (option.kind) {
    case ValueKind::kChoice:
      return "choice:" + joined(option.choices);
    case ValueKind::kGroup:
      return "group";
    case ValueKind::kControlFile:
      return "control";
    case ValueKind::kProcess:
      return "process";
    case ValueKind::kDomain:
      return "domain";
    case ValueKind::kFile:
      return "file";
    case ValueKind::kDirectory:
      return "directory";
    case ValueKind::kCommand:
      return "command";
    default:
      return "other";
  }
}

std::string case_of(const CommandSyntax& command) {
  std::string options, values, arguments;
  for (const OptionSyntax& option : command.options) {
    for (const std::string& name : option.names) {
      options += " " + name;
      if (option.kind != ValueKind::kFlag) {
        values += " [" + name + "]=" + shell_quoted(kind_word(option));
      }
    }
  }
  for (const OptionSyntax& argument : command.arguments) {
    arguments += " " + shell_quoted(kind_word(argument));
  }
  const bool repeat =
      !command.arguments.empty() && command.arguments.back().many;
  return "    " + command.name + ")\n      options=(" + options +
         " )\n      values=(" + values + " )\n      arguments=(" + arguments +
         " )\n      repeat=" + (repeat ? "1" : "0") + " ;;\n";
}

}  // namespace

std::string bash_completion(const std::vector<CommandSyntax>& commands) {
  std::string names, cases;
  for (const CommandSyntax& command : commands) {
    names += " " + command.name;
    cases += case_of(command);
  }
  return kHead + std::string("\n_umemcg_commands=(") + names +
         " )\n\n_umemcg_syntax() {\n  case $1 in\n" + cases +
         "    *) return 1 ;;\n  esac\n}\n" + kTail;
}

}  // namespace umemcg
