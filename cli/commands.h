// The commands that work on a domain; `umemcg run` has a header of its own.
#pragma once

#include "cli/command.h"

namespace umemcg {

// Each adds itself to `app`, and stores itself in `chosen` when the command
// line names it.
void add_create_command(CLI::App& app, Action& chosen);
void add_set_command(CLI::App& app, Action& chosen);
void add_get_command(CLI::App& app, Action& chosen);
void add_files_command(CLI::App& app, Action& chosen);
void add_rm_command(CLI::App& app, Action& chosen);
void add_ls_command(CLI::App& app, Action& chosen);
void add_tree_command(CLI::App& app, Action& chosen);
void add_ps_command(CLI::App& app, Action& chosen);
void add_move_command(CLI::App& app, Action& chosen);
void add_domains_command(CLI::App& app, Action& chosen);
void add_gc_command(CLI::App& app, Action& chosen);
void add_smaps_command(CLI::App& app, Action& chosen);
void add_mount_command(CLI::App& app, Action& chosen);
void add_umount_command(CLI::App& app, Action& chosen);
void add_reclaim_command(CLI::App& app, Action& chosen);
void add_explain_command(CLI::App& app, Action& chosen);
void add_top_command(CLI::App& app, Action& chosen);
void add_stat_command(CLI::App& app, Action& chosen);
void add_events_command(CLI::App& app, Action& chosen);
void add_pressure_command(CLI::App& app, Action& chosen);
void add_audit_command(CLI::App& app, Action& chosen);
void add_record_command(CLI::App& app, Action& chosen);
void add_replay_command(CLI::App& app, Action& chosen);
void add_version_command(CLI::App& app, Action& chosen);
void add_completion_command(CLI::App& app, Action& chosen);
void add_man_command(CLI::App& app, Action& chosen);
void add_export_command(CLI::App& app, Action& chosen);

}  // namespace umemcg
