#include "cli/help/manual.h"

#include "cli/help/exit_status.h"

namespace umemcg {
namespace {

// The text as it is: what roff would take for its own is escaped.
std::string escaped(const std::string& text) {
  std::string out;
  bool line_start = true;
  for (const char c : text) {
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else if (line_start && (c == '.' || c == '\'')) {
      out += std::string("\\&") + c;
    } else {
      out += c;
    }
    line_start = c == '\n';
  }
  return out;
}

std::string bold(const std::string& text) {
  return "\\fB" + escaped(text) + "\\fR";
}
std::string italic(const std::string& text) {
  return "\\fI" + escaped(text) + "\\fR";
}

std::string names_of(const OptionSyntax& option) {
  std::string text;
  for (const std::string& name : option.names) {
    text += (text.empty() ? "" : ", ") + bold(name);
  }
  if (option.value.empty()) return text;
  const bool attached = option.value[0] == '[';
  return text + (text.empty() || attached ? "" : " ") + italic(option.value);
}

void add_option(const OptionSyntax& option, std::string* out) {
  *out +=
      ".TP\n" + names_of(option) + "\n" + escaped(option.description) + "\n";
}

void add_command(const CommandSyntax& command, std::string* out) {
  *out += ".SS " + escaped(command.name) + "\n";
  *out += ".B " + escaped(synopsis_of(command)) + "\n.PP\n";
  *out += escaped(command.description) + ".\n";
  for (const OptionSyntax& argument : command.arguments) {
    add_option(argument, out);
  }
  for (const OptionSyntax& option : command.options) add_option(option, out);
}

constexpr char kHead[] = R"(.TH UMEMCG 1 "" "umemcg )" UMEMCG_VERSION
                         R"(" "User Commands"
.SH NAME
umemcg \- a memory cgroup in user space
.SH SYNOPSIS
.B umemcg
.I COMMAND
[\fIOPTIONS\fR]
[\fIARGUMENTS\fR]
.SH DESCRIPTION
Programs that are started under umemcg share a tree of groups with limits, as
cgroupfs has one; what their heaps take from the system is charged to it. The
processes of one
.I domain
share a tree, which is a file. The commands look at it and change it while the
programs run, and give back what dead processes had before they look.
.PP
A group is named by its path, such as /web/a; the root is /. Sizes are bytes
with a suffix K, M, G, T, P or E, or
.BR max .
With
.B \-\-json
sizes are printed as bytes.
.SH COMMANDS
)";

constexpr char kTail[] = R"(.SH ENVIRONMENT
.TP
.B UMEMCG_DOMAIN
The domain, where
.B \-\-domain
names none; else it is the one named default, and for
.B umemcg run
a private one.
.TP
.B UMEMCG_GROUP
The group below which
.B umemcg run
makes its own, where neither
.B \-\-domain
nor
.B \-\-group
is given: that of the run around it.
.TP
.BR UMEMCG_MAX ", " UMEMCG_HIGH ", " UMEMCG_LOW ", " UMEMCG_MIN)"
                         R"( ", " UMEMCG_RESERVE ", " UMEMCG_OOM
What
.B umemcg run
is not told by an option, for a group that it makes.
.TP
.BR UMEMCG_ACCOUNT ", " UMEMCG_REPORT ", " UMEMCG_VERBOSE)"
                         R"( ", " UMEMCG_WORKER ", " UMEMCG_THP)"
                         R"( ", " UMEMCG_FAIL ", " UMEMCG_DISABLE
Are obeyed by the programs under umemcg.
.TP
.B NO_COLOR
No colours, if it is not empty. There are none either where the output is no
terminal.
.PP
LD_PRELOAD.md lists the variables that programs under umemcg obey, with their
values.
.SH FILES
.TP
.I /dev/shm/umemcg\-UID/NAME
A domain, of mode 0600.
.SH EXAMPLES
.nf
umemcg run \-\-max 512M \-\-report \-\- make \-j8
umemcg create \-\-domain shop /web/a /web/b
umemcg set \-\-domain shop /web memory.max 512M
umemcg top \-\-domain shop
.fi
.SH SEE ALSO
.BR malloc (3),
.BR ld.so (8),
.BR cgroups (7),
.BR systemd.resource\-control (5)
)";

// The page has a heading of its own.
std::string without_heading(const std::string& text) {
  return text.substr(text.find(": ") + 2);
}

}  // namespace

std::string manual_page(const std::vector<CommandSyntax>& commands) {
  std::string out = kHead;
  for (const CommandSyntax& command : commands) add_command(command, &out);
  out += ".SH EXIT STATUS\n" + escaped(without_heading(kExitStatus)) +
         "\n.PP\n" + bold("umemcg run") + ": " +
         escaped(without_heading(kRunExitStatus)) + "\n";
  return out + kTail;
}

}  // namespace umemcg
