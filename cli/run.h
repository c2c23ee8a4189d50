// `umemcg run`: a program and all its children under one limit.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <vector>

#include "cli/command.h"

namespace umemcg {

struct RunOptions {
  std::optional<int64_t> max, high, low, min, reserve;  // pages
  std::string oom;                                      // memory.oom.policy
  std::string group;
  std::string domain;
  std::string report;  // a file, "-" for stderr; empty: none
  bool json = false;
  std::vector<std::string> command;
};

// The exit status when umemcg itself, not the command, has failed.
inline constexpr int kUmemcgFailed = 125;

// Adds itself to `app`, and stores itself in `chosen` when the command line
// names it.
void add_run_command(CLI::App& app, RunOptions& options, Action& chosen);

// The exit status of the command: its own, 128 + N if signal N ended it, 127
// if it was not found, 126 if it cannot be executed, 125 if umemcg failed.
int run_command(const RunOptions& options);

}  // namespace umemcg
