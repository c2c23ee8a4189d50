// The umemcg program: one verb a file.

#include <CLI/CLI.hpp>
#include <cstring>
#include <iostream>

#include "cli/commands.h"
#include "cli/help/exit_status.h"
#include "cli/printable.h"
#include "cli/run.h"

namespace {

using namespace umemcg;

// `run` keeps the low numbers for the command that it runs.
int usage_status(int argc, char** argv) {
  const bool run = argc > 1 && std::strcmp(argv[1], "run") == 0;
  return run ? kUmemcgFailed : kBadUsage;
}

std::string usage_of(const CLI::App& app) {
  for (const CLI::App* command : app.get_subcommands({})) {
    if (command->parsed()) {
      return "umemcg " + command->get_name() + " --help lists the options";
    }
  }
  return "use: umemcg run [OPTIONS] -- CMD ARGS..., or another command that "
         "umemcg --help lists";
}

// The library would only say that a command is missing.
bool is_unknown(const CLI::App& app, int argc, char** argv) {
  if (argc < 2 || argv[1][0] == '-') return false;
  for (const CLI::App* command : app.get_subcommands({})) {
    if (command->get_name() == argv[1]) return false;
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"umemcg: a memory cgroup in user space"};
  app.require_subcommand(1);
  app.footer(kExitStatus);  // of the commands too
  app.set_version_flag("--version", UMEMCG_VERSION);
  app.failure_message([](const CLI::App* failed, const CLI::Error& error) {
    return "umemcg: " + printable(error.what()) + "; " + usage_of(*failed) +
           "\n";
  });
  Action chosen;
  RunOptions run;
  add_run_command(app, run, chosen);
  for (auto add :
       {add_create_command,   add_set_command,     add_get_command,
        add_files_command,    add_rm_command,      add_ls_command,
        add_tree_command,     add_ps_command,      add_move_command,
        add_gc_command,       add_smaps_command,   add_explain_command,
        add_top_command,      add_stat_command,    add_events_command,
        add_pressure_command, add_audit_command,   add_record_command,
        add_replay_command,   add_version_command, add_completion_command,
        add_man_command,      add_export_command,  add_mount_command,
        add_umount_command,   add_reclaim_command, add_domains_command}) {
    add(app, chosen);
  }
  if (is_unknown(app, argc, argv)) {
    fail("there is no command '" + std::string(argv[1]) +
         "'; umemcg --help lists them");
    return kBadUsage;
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : usage_status(argc, argv);
  }
  const int status = chosen();
  std::cout.flush();
  return std::cout ? status : fail("the output could not be written");
}
