// `umemcg smaps`: what of each mapping of a process is charged, and to whom.

#include <cerrno>
#include <cstdio>
#include <iostream>
#include <map>
#include <memory>
#include <vector>

#include "accounting/mem_cgroup.h"
#include "accounting/process.h"
#include "cli/commands.h"
#include "cli/process_maps.h"
#include "cli/remote_tables.h"
#include "cli/table.h"

namespace umemcg {
namespace {

struct Options {
  std::string domain;
  int32_t pid = 0;
  bool json = false;
};

struct Charged {
  uint64_t used = 0, cached = 0;  // bytes

  Charged& operator+=(const Charged& other) {
    used += other.used;
    cached += other.cached;
    return *this;
  }
};

// What one owner has in one mapping.
struct Row {
  Mapping mapping;
  Owner owner;
  Charged charged;
};

Charged charged_in(const Mapping& mapping, uint64_t slice, SliceWord word) {
  const uint32_t mask = page_mask(slice, mapping.start, mapping.end);
  auto bytes = [mask](uint32_t pages) {
    return static_cast<uint64_t>(pages_in(pages & mask)) << kPageShift;
  };
  return {bytes(word.used()), bytes(word.cached())};
}

// 0 or an error number.
int rows_of(RemoteTables& tables, const Mapping& mapping,
            std::vector<Row>* rows) {
  std::map<uint32_t, Charged> owners;  // by id
  int error = tables.for_each_slice(
      mapping.start, mapping.end, [&](uint64_t slice, SliceWord word) {
        owners[word.owner()] += charged_in(mapping, slice, word);
      });
  for (const auto& [id, charged] : owners) {
    Owner owner{};
    if (charged.used + charged.cached == 0) continue;
    // One that makes no sense (any more) is left out.
    if (error == 0 && tables.find_owner(id, &owner) == 0) {
      rows->push_back({mapping, owner, charged});
    }
  }
  return error;
}

std::string hex(uint64_t value) {
  char text[20];
  std::snprintf(text, sizeof(text), "%lx", value);
  return text;
}

void print_table(const std::vector<Row>& rows) {
  Table table({"address", "group", "used", "cached"}, "llrr");
  Charged sum;
  for (const Row& row : rows) {
    table.add({hex(row.mapping.start) + "-" + hex(row.mapping.end),
               path_of_group(row.owner.group) +
                   (row.owner.inherited ? " (inherited)" : ""),
               std::to_string(row.charged.used),
               std::to_string(row.charged.cached)});
    if (!row.owner.inherited) sum += row.charged;
  }
  table.add(
      {"total", "", std::to_string(sum.used), std::to_string(sum.cached)});
  table.print(std::cout);
}

void print_document(const Options& options, const std::vector<Row>& rows) {
  using Json = nlohmann::ordered_json;
  Json mappings = Json::array();
  std::map<std::string, Charged> sums;
  for (const Row& row : rows) {
    const std::string path = path_of_group(row.owner.group);
    mappings.push_back({{"start", hex(row.mapping.start)},
                        {"end", hex(row.mapping.end)},
                        {"group", path},
                        {"used", row.charged.used},
                        {"cached", row.charged.cached},
                        {"inherited", row.owner.inherited}});
    if (!row.owner.inherited) sums[path] += row.charged;
  }
  Json groups = Json::object();
  for (const auto& [path, sum] : sums) {
    groups[path] = {{"used", sum.used}, {"cached", sum.cached}};
  }
  print_json({{"domain", g_segment.path()},
              {"pid", options.pid},
              {"mappings", mappings},
              {"groups", groups}});
}

int smaps(const Options& options) {
  if (!open_domain(options.domain)) return kFailed;
  const std::string who = "the process " + std::to_string(options.pid);
  const uint32_t index = find_process(g_segment, options.pid);
  if (index == kNone) {
    return fail(who + " is not in the domain " + g_segment.path() + " (" +
                error_text(ESRCH) + "); `umemcg ps` lists those that are");
  }
  const ProcessSlot& slot = *g_segment.process(index);
  RemoteTables tables(options.pid);
  // acquire: pairs with publish_page_table().
  int error = tables.open(slot.page_table.load(std::memory_order_acquire),
                          slot.accounts.load(std::memory_order_acquire));
  std::vector<Mapping> mappings;
  if (error == 0) error = read_mappings(options.pid, false, &mappings);
  std::vector<Row> rows;
  for (size_t i = 0; i < mappings.size() && error == 0; ++i) {
    error = rows_of(tables, mappings[i], &rows);
  }
  if (error != 0) {
    return fail(who + " cannot be looked at (" + error_text(error) + "); " +
                advice_on_reading(error));
  }
  if (options.json) {
    print_document(options, rows);
  } else {
    print_table(rows);
  }
  return kDone;
}

}  // namespace

void add_smaps_command(CLI::App& app, Action& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "smaps",
      "Show what of each mapping of a process is charged to which group");
  add_domain_option(command, options->domain);
  add_json_flag(command, options->json);
  add_pid_option(command, options->pid);
  command->callback(
      [options, &chosen] { chosen = [options] { return smaps(*options); }; });
}

}  // namespace umemcg
