// `umemcg reclaim`: has the processes of a group give pages back.

#include <cerrno>
#include <iostream>
#include <memory>

#include "accounting/control_file.h"
#include "cli/commands.h"
#include "cli/control_text.h"

namespace umemcg {
namespace {

struct Options {
  std::string domain, path, size;
  bool json = false;
};

uint64_t usage_of(uint32_t group) {
  const int64_t pages = g_segment.group(group)->memory.usage();
  return static_cast<uint64_t>(pages > 0 ? pages : 0) << kPageShift;
}

std::string result_text(uint64_t before, uint64_t after) {
  Line line;
  line.text("reclaimed ").bytes(before > after ? before - after : 0);
  line.text(", ").bytes(after).text(" left");
  return line.c_str();
}

void print_result(const Options& options, uint64_t before, uint64_t after) {
  if (!options.json) {
    std::cout << result_text(before, after) << "\n";
    return;
  }
  print_json({{"domain", g_segment.path()},
              {"group", normal_path(options.path)},
              {"reclaimed", before > after ? before - after : 0},
              {"current", after}});
}

int reclaim(const Options& options) {
  uint32_t group;
  const ControlFile* file;
  if (!open_domain(options.domain) || !find_group_at(options.path, &group) ||
      !find_file(options.path, group, "memory.reclaim", &file)) {
    return kFailed;
  }
  const uint64_t before = usage_of(group);
  const int error =
      file->store(g_segment, group, options.size.data(), options.size.size());
  const uint64_t after = usage_of(group);
  if (error == 0) {
    print_result(options, before, after);
    return kDone;
  }
  const std::string what = "'" + options.size + "' of " + options.path;
  if (error != EAGAIN) {
    return fail(what + " cannot be reclaimed (" + error_text(error) +
                "); write bytes with an optional suffix K M G T P E, such as "
                "512M");
  }
  return fail("less than " + what + " could be reclaimed (" +
              error_text(error) + "): " + result_text(before, after) +
              "; processes give back what they have free when they next "
              "allocate, with UMEMCG_WORKER=1 also when they sleep");
}

}  // namespace

void add_reclaim_command(CLI::App& app, Action& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "reclaim", "Have the processes of a group give memory back");
  add_domain_option(command, options->domain);
  add_json_flag(command, options->json);
  command->add_option("path", options->path, "the group")
      ->required()
      ->type_name("PATH");
  command->add_option("size", options->size, "how much, such as 512M")
      ->required()
      ->type_name("SIZE");
  command->callback(
      [options, &chosen] { chosen = [options] { return reclaim(*options); }; });
}

}  // namespace umemcg
