// `umemcg tree`: what each group uses, and who is in it.

#include <iostream>
#include <map>
#include <memory>

#include "cli/census.h"
#include "cli/commands.h"
#include "cli/control_text.h"
#include "cli/group_tree.h"
#include "cli/table.h"

namespace umemcg {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

struct Options {
  std::string domain, path = "/";
  bool json = false;
};

// Processes and threads of a group itself, not of those below it.
struct Inside {
  uint32_t processes = 0;
  uint32_t threads = 0;
};

std::map<uint32_t, Inside> count_inside() {
  std::map<uint32_t, Inside> inside;
  const Census census = take_census();
  for (const ProcessEntry& p : census.processes) {
    inside[p.group].processes += !p.ended;
  }
  for (const ThreadEntry& t : census.threads) ++inside[t.group].threads;
  return inside;
}

uint64_t event_of(const Group& group, Event event) {
  return group.events[static_cast<int>(event)].load(kRelaxed);
}

std::vector<Cell> cells(const TreeEntry& entry, const Inside& inside) {
  const Group& group = *g_segment.group(entry.group);
  return {std::string(2 * entry.depth, ' ') +
              (entry.depth == 0 ? entry.path : entry.name),
          size_cell(group.memory.usage()),
          size_cell(group.memory.watermark()),
          size_cell(group.memory.max()),
          std::to_string(event_of(group, Event::kMax)),
          std::to_string(event_of(group, Event::kOom)),
          std::to_string(inside.processes),
          std::to_string(inside.threads)};
}

nlohmann::ordered_json json_of(const TreeEntry& entry, const Inside& inside) {
  nlohmann::ordered_json object;
  for (const char* name :
       {"memory.current", "memory.peak", "memory.max", "memory.events"}) {
    object[name] = control_file_json(*find_control_file(name), entry.group);
  }
  object["processes"] = inside.processes;
  object["threads"] = inside.threads;
  return object;
}

int tree(const Options& options) {
  uint32_t root;
  if (!open_domain(options.domain) || !find_group_at(options.path, &root)) {
    return kFailed;
  }
  std::map<uint32_t, Inside> inside = count_inside();
  nlohmann::ordered_json groups = nlohmann::ordered_json::object();
  Table table({"group", "current", "peak", "max", "max-events", "oom",
               "processes", "threads"},
              "lrrrrrrr");
  for (const TreeEntry& entry : list_subtree(root)) {
    if (options.json) {
      groups[entry.path] = json_of(entry, inside[entry.group]);
    } else {
      table.add(cells(entry, inside[entry.group]));
    }
  }
  if (options.json) {
    print_json({{"domain", g_segment.path()}, {"groups", groups}});
  } else {
    table.print(std::cout);
  }
  return kDone;
}

}  // namespace

void add_tree_command(CLI::App& app, Action& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "tree", "Show what each group uses, its events, processes and threads");
  add_domain_option(command, options->domain);
  add_json_flag(command, options->json);
  command->add_option("path", options->path, "from this group on (default /)")
      ->type_name("PATH");
  command->callback(
      [options, &chosen] { chosen = [options] { return tree(*options); }; });
}

}  // namespace umemcg
