// The umemcg program: one verb a file.

#include <CLI/CLI.hpp>

#include "cli/run.h"

int main(int argc, char** argv) {
  CLI::App app{"umemcg: a memory cgroup in user space"};
  app.require_subcommand(1);
  app.set_version_flag("--version", UMEMCG_VERSION);
  app.failure_message([](const CLI::App*, const CLI::Error& error) {
    return std::string("umemcg: ") + error.what() +
           "; use: umemcg run [OPTIONS] -- CMD ARGS... (umemcg run --help "
           "lists the options)\n";
  });
  umemcg::RunOptions run;
  umemcg::add_run_command(app, run);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : umemcg::kUmemcgFailed;
  }
  return umemcg::run_command(run);
}
