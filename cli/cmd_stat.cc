// `umemcg stat`: one group on one screen.

#include <algorithm>
#include <cstdio>
#include <iostream>
#include <memory>

#include "accounting/mem_cgroup.h"
#include "base/units.h"
#include "cli/colour.h"
#include "cli/commands.h"
#include "cli/printable.h"
#include "cli/sample.h"
#include "cli/table.h"
#include "cli/top/sample_json.h"

namespace umemcg {
namespace {

using Json = nlohmann::ordered_json;

struct Options {
  std::string domain, path;
  bool json = false;
};

// The group, the groups above it, and who has charged it.
struct Found {
  const GroupSample* group = nullptr;
  const GroupSample* limiting = nullptr;  // whose limit leaves least; or null
  std::vector<std::pair<const ProcessSample*, int64_t>> processes;
  unsigned below = 0;  // that live in groups below it
};

bool above_or_same(const std::string& path, const std::string& of) {
  return path == "/" || path == of || of.rfind(path + "/", 0) == 0;
}

Found find_in(const Sample& sample, uint64_t id) {
  Found found;
  for (const GroupSample& group : sample.groups) {
    if (group.id == id) found.group = &group;
  }
  if (found.group == nullptr) return found;
  // The first on the way down at which no more is left than at the group.
  for (const GroupSample& group : sample.groups) {
    if (group.max != kUnlimited && found.limiting == nullptr &&
        group.available == found.group->available &&
        above_or_same(group.path, found.group->path)) {
      found.limiting = &group;
    }
  }
  for (const GroupSample& group : sample.groups) {
    if (group.id != id && above_or_same(found.group->path, group.path)) {
      found.below += static_cast<unsigned>(group.processes);
    }
  }
  for (const ProcessSample& process : sample.processes) {
    int64_t charged = 0;
    for (const ProcessCharge& charge : process.charges) {
      if (charge.group == id) charged += charge.charged;
    }
    if (charged > 0 || process.group == id) {
      found.processes.emplace_back(&process, charged);
    }
  }
  std::stable_sort(
      found.processes.begin(), found.processes.end(),
      [](const auto& a, const auto& b) { return a.second > b.second; });
  return found;
}

std::string size_of(int64_t bytes) {
  return size_cell(bytes == kUnlimited ? kPageCounterMax : bytes >> kPageShift);
}

// "8.3 %"; empty if there is no limit.
std::string percent_of(int64_t usage, int64_t limit) {
  if (limit == kUnlimited || limit == 0) return "";
  char text[32];
  std::snprintf(
      text, sizeof(text), "%.1f %%",
      100.0 * static_cast<double>(usage) / static_cast<double>(limit));
  return text;
}

class Printer {
 public:
  explicit Printer(const Found& found)
      : group_(*found.group),
        found_(found),
        table_({{"usage", Tone::kHeading}, "", ""}, "lrl") {}

  void print() {
    amounts();
    counts();
    stalls();
    processes();
    std::cout << "group " << painted(Tone::kHeading, printable(group_.path))
              << " in the domain " << printable(g_segment.path()) << '\n';
    table_.print(std::cout);
  }

 private:
  void row(const std::string& what, const Cell& value, const Cell& note = "") {
    table_.add({"  " + what, value, note});
  }
  void heading(const std::string& what) {
    table_.add({{what, Tone::kHeading}, "", ""});
  }
  void limit(const char* name, int64_t value) {
    const std::string percent = percent_of(group_.usage, value);
    const std::string note = percent.empty() ? "" : percent + " used";
    row(name, size_of(value), {note, tone_of_usage(group_.usage, value)});
  }

  void amounts() {
    row("current", size_of(group_.usage));
    row("peak", size_of(group_.peak));
    row("available", size_of(group_.available),
        found_.limiting != nullptr
            ? "until the limit of " + found_.limiting->path + " refuses"
            : "");
    row("cached", size_of(group_.cached), "free, comes back when asked for");
    row("ahead", size_of(group_.stock), "charged ahead by threads");
    row("charged", size_of(group_.charged), "ever");
    row("uncharged", size_of(group_.uncharged), "ever");
    heading("limits and protections");
    limit("max", group_.max);
    limit("high", group_.high);
    limit("low", group_.low);
    limit("min", group_.min);
  }

  void counts() {
    heading("events");
    for (size_t e = 0; e < kEvents; ++e) {
      row(kEventNames[e],
          {std::to_string(group_.events[e]), tone_of_count(group_.events[e])});
    }
    heading("reclaimed for its limits");
    for (size_t s = 0; s < kSources; ++s) {
      row(kSourceNames[s], size_of(static_cast<int64_t>(group_.reclaimed[s])));
    }
  }

  void stalls() {
    heading("stalls");
    for (size_t s = 0; s < kPsiStates; ++s) {
      char total[32], averages[96];
      std::snprintf(total, sizeof(total), "%.3f s",
                    static_cast<double>(group_.stall_us[s]) / 1e6);
      std::snprintf(averages, sizeof(averages),
                    "%.2f %% of 10 s, %.2f %% of 60 s, %.2f %% of 300 s",
                    group_.stalled[s][0], group_.stalled[s][1],
                    group_.stalled[s][2]);
      row(s == kPsiSome ? "some" : "full",
          {total, tone_of_count(group_.stall_us[s])}, averages);
    }
  }

  void processes() {
    heading("processes");
    for (const auto& [process, charged] : found_.processes) {
      row(process->name + " (" + std::to_string(process->pid) + ")",
          size_of(charged),
          process->ended                ? "ended; its children hold that"
          : process->group != group_.id ? "is in another group"
                                        : "");
    }
    if (found_.below != 0) {
      row(found_.processes.empty() ? "none here" : "in groups below",
          std::to_string(found_.below),
          found_.processes.empty() ? "in groups below" : "");
    } else if (found_.processes.empty()) {
      row("none", "");
    }
  }

  const GroupSample& group_;
  const Found& found_;
  Table table_;
};

void print_document(const Found& found) {
  Json document = {{"domain", g_segment.path()}};
  document.update(json_of_group(*found.group));
  document["limited_by"] = nullptr;
  if (found.limiting != nullptr) document["limited_by"] = found.limiting->path;
  Json inside = Json::array();
  for (const auto& [process, charged] : found.processes) {
    inside.push_back({{"pid", process->pid},
                      {"name", process->name},
                      {"charged", charged},
                      {"inside", process->group == found.group->id},
                      {"ended", process->ended}});
  }
  document["inside"] = inside;
  document["processes_below"] = found.below;
  print_json(document);
}

int stat(const Options& options) {
  uint32_t group;
  uint64_t id;
  if (!open_domain(options.domain) ||
      !find_group_at(options.path, &group, &id)) {
    return kFailed;
  }
  const Sample sample = take_sample();
  const Found found = find_in(sample, id);
  if (found.group == nullptr) return fail_no_group(options.path);
  if (options.json) {
    print_document(found);
  } else {
    Printer(found).print();
  }
  return kDone;
}

}  // namespace

void add_stat_command(CLI::App& app, Action& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "stat",
      "Show all about a group: usage, limits, what is left, events, stalls, "
      "what reclaim got, who is in it");
  add_domain_option(command, options->domain);
  add_json_flag(command, options->json);
  command->add_option("path", options->path, "the group")
      ->required()
      ->type_name("PATH");
  command->callback(
      [options, &chosen] { chosen = [options] { return stat(*options); }; });
}

}  // namespace umemcg
