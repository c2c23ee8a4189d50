#include "cli/top/view.h"

#include <algorithm>
#include <ctime>
#include <map>
#include <numeric>

#include "base/text.h"
#include "cli/top/sample_json.h"

namespace umemcg {
namespace {

bool below(const std::string& path, const std::string& root) {
  return root == "/" || path == root || path.rfind(root + "/", 0) == 0;
}

std::string last_part(const std::string& path) {
  return path == "/" ? path : path.substr(path.rfind('/') + 1);
}

std::string size_text(int64_t bytes) {
  if (bytes == kUnlimited) return "max";
  Text<32> text;
  text.bytes(static_cast<uint64_t>(std::max<int64_t>(bytes, 0)));
  return text.c_str();
}

std::string signed_size_text(double bytes) {
  // What is less than a byte a second is nothing.
  if (bytes > -1 && bytes < 1) return "0";
  return (bytes < 0 ? "-" : "+") +
         size_text(static_cast<int64_t>(bytes < 0 ? -bytes : bytes));
}

std::string decimal_text(double value) {
  if (value <= 0) return "0";
  char text[32];
  std::snprintf(text, sizeof(text), value < 100 ? "%.1f" : "%.0f", value);
  return text;
}

uint64_t sum_of(const std::array<uint64_t, kEvents>& events) {
  return std::accumulate(events.begin(), events.end(), uint64_t{0});
}

// What was there at the sample before: of a group or process that is new,
// nothing.
class Past {
 public:
  Past(const Sample& now, const Sample* before) : known_(before != nullptr) {
    if (!known_) return;
    seconds_ = static_cast<double>(
                   static_cast<int64_t>(now.clock_ns - before->clock_ns)) /
               1e9;
    known_ = seconds_ > 0;
    for (const GroupSample& group : before->groups) groups_[group.id] = &group;
    for (const ProcessSample& process : before->processes) {
      for (const ProcessCharge& charge : process.charges) {
        charges_[{process.pid, charge.group}] = charge.charged;
      }
    }
  }

  std::optional<Rates> of(const GroupSample& group) const {
    if (!known_) return std::nullopt;
    const auto found = groups_.find(group.id);
    const GroupSample& was = found != groups_.end() ? *found->second : none_;
    return Rates{
        change(was.usage, group.usage) / seconds_,
        rise(sum_of(was.events), sum_of(group.events)) / seconds_,
        std::min(100.0, rise(was.stall_us[kPsiSome], group.stall_us[kPsiSome]) /
                            seconds_ / 1e4)};
  }

  std::optional<Rates> of(const ProcessSample& process, uint64_t group,
                          int64_t charged) const {
    // (Those of other pid namespaces cannot be told apart.)
    if (!known_ || process.pid == 0) return std::nullopt;
    const auto found = charges_.find({process.pid, group});
    const int64_t was = found != charges_.end() ? found->second : 0;
    return Rates{change(was, charged) / seconds_, 0, 0};
  }

 private:
  static double change(int64_t from, int64_t to) {
    return static_cast<double>(to) - static_cast<double>(from);
  }
  // Of what only ever goes up.
  static double rise(uint64_t from, uint64_t to) {
    return to > from ? static_cast<double>(to - from) : 0;
  }

  bool known_;
  double seconds_ = 0;
  const GroupSample none_;
  std::map<uint64_t, const GroupSample*> groups_;  // by id
  std::map<std::pair<int32_t, uint64_t>, int64_t> charges_;
};

double key_of(const ViewRow& row, SortKey key) {
  const Rates rates = row.rates.value_or(Rates{});
  switch (key) {
    case SortKey::kByGrowth:
      return rates.growth;
    case SortKey::kByEvents:
      return rates.events;
    case SortKey::kByStall:
      return rates.stalled;
    default:
      return static_cast<double>(row.usage);
  }
}

// Largest first, or by name.
void sort_rows(SortKey key, std::vector<ViewRow>* rows) {
  auto name = [](const ViewRow& row) {
    return row.process != nullptr ? row.process->name : row.group->path;
  };
  std::stable_sort(rows->begin(), rows->end(),
                   [&](const ViewRow& a, const ViewRow& b) {
                     const double left = key_of(a, key), right = key_of(b, key);
                     if (key != SortKey::kByName && left != right) {
                       return left > right;
                     }
                     return name(a) < name(b);
                   });
}

class Builder {
 public:
  Builder(const Sample& now, const Sample* before, const ViewOptions& options)
      : now_(now), past_(now, before), options_(options) {
    for (const ProcessSample& process : now.processes) split(process);
    find_parents();
  }

  std::vector<ViewRow> build() {
    if (options_.flat) {
      std::vector<ViewRow> all;
      for (const auto& [parent, groups] : children_) {
        all.insert(all.end(), groups.begin(), groups.end());
      }
      add(std::move(all), 0);
    } else {
      add(children_[nullptr], 0);
    }
    return std::move(rows_);
  }

 private:
  // Among its groups, and in the one that it is in, perhaps with nothing.
  void split(const ProcessSample& process) {
    if (!options_.processes) return;
    bool at_home = false;
    auto put = [&](uint64_t group, int64_t charged) {
      ViewRow row;
      row.process = &process;
      row.usage = charged;
      row.rates = past_.of(process, group, charged);
      inside_[group].push_back(row);
      at_home |= group == process.group;
    };
    for (const ProcessCharge& charge : process.charges) {
      put(charge.group, charge.charged);
    }
    if (!at_home) put(process.group, 0);
  }

  void find_parents() {
    std::vector<const GroupSample*> above;  // by their depth
    for (const GroupSample& group : now_.groups) {
      while (!above.empty() && above.back()->depth >= group.depth) {
        above.pop_back();
      }
      if (below(group.path, options_.root)) {
        const bool first = above.empty() || group.path == options_.root;
        ViewRow row;
        row.group = &group;
        row.usage = group.usage;
        row.rates = past_.of(group);
        children_[first ? nullptr : above.back()].push_back(row);
      }
      above.push_back(&group);
    }
  }

  void add(std::vector<ViewRow> rows, unsigned indent) {
    sort_rows(options_.sort, &rows);
    for (ViewRow& row : rows) {
      row.indent = indent;
      const bool inner = !options_.flat && children_.count(row.group) != 0;
      row.foldable = inner || inside_.count(row.group->id) != 0;
      row.folded = row.foldable && options_.folded.count(row.group->path) != 0;
      rows_.push_back(row);
      if (row.folded) continue;
      add_processes(*row.group, indent + 1);
      if (inner) add(children_[row.group], indent + 1);
    }
  }

  void add_processes(const GroupSample& group, unsigned indent) {
    std::vector<ViewRow>& rows = inside_[group.id];
    for (ViewRow& row : rows) {
      row.group = &group;
      row.indent = indent;
    }
    sort_rows(options_.sort, &rows);
    rows_.insert(rows_.end(), rows.begin(), rows.end());
  }

  const Sample& now_;
  const Past past_;
  const ViewOptions& options_;
  std::map<const GroupSample*, std::vector<ViewRow>> children_;
  std::map<uint64_t, std::vector<ViewRow>> inside_;  // processes, by group
  std::vector<ViewRow> rows_;
};

std::string label_of(const ViewRow& row, const ViewOptions& options) {
  const std::string blanks(2 * std::min(row.indent, 40u), ' ');
  if (row.process != nullptr) {
    const ProcessSample& process = *row.process;
    return blanks + process.name + " (" + std::to_string(process.pid) +
           (process.ended ? ", ended)" : ")");
  }
  const std::string& path = row.group->path;
  return blanks + (row.folded ? "+" : "") +
         (row.indent == 0 || options.flat ? path : last_part(path));
}

// What a process has no figure for.
std::vector<Cell> process_cells(const ViewRow& row, std::vector<Cell> cells) {
  cells.resize(kColumns);
  cells[4] = {row.rates ? signed_size_text(row.rates->growth) : "-"};
  return cells;
}

}  // namespace

const Column kViewColumns[kColumns] = {
    {"GROUP", 0, SortKey::kByName},
    {"USAGE", 9, SortKey::kByUsage},
    {"MAX", 9, {}},
    {"AVAIL", 9, {}},
    {"GROWTH/s", 10, SortKey::kByGrowth},
    {"EVENTS/s", 8, SortKey::kByEvents},
    {"OOM", 5, {}},
    {"STALL %", 7, SortKey::kByStall},
    {"PROCS", 5, {}},
};

bool ViewRow::same(const ViewRow& other) const {
  const bool here = process != nullptr, there = other.process != nullptr;
  return group->path == other.group->path && here == there &&
         (!here || process->pid == other.process->pid);
}

std::vector<ViewRow> view_rows(const Sample& now, const Sample* before,
                               const ViewOptions& options) {
  return Builder(now, before, options).build();
}

std::vector<Cell> cells_of(const ViewRow& row, const ViewOptions& options) {
  std::vector<Cell> cells = {{label_of(row, options)}, {size_text(row.usage)}};
  if (row.process != nullptr) return process_cells(row, std::move(cells));
  const GroupSample& group = *row.group;
  const uint64_t ooms = group.events[static_cast<size_t>(Event::kOom)];
  const Tone tone = tone_of_usage(group.usage, group.max);
  cells[1].tone = tone;
  cells.push_back({size_text(group.max)});
  cells.push_back({size_text(group.available)});
  if (row.rates) {
    const Rates& rates = *row.rates;
    cells.push_back({signed_size_text(rates.growth)});
    cells.push_back(
        {decimal_text(rates.events), tone_of_count(rates.events > 0)});
  } else {
    cells.push_back({"-"});
    cells.push_back({"-"});
  }
  cells.push_back({std::to_string(ooms), tone_of_count(ooms)});
  const double stalled =
      row.rates ? row.rates->stalled : group.stalled[kPsiSome][0];
  cells.push_back({decimal_text(stalled), tone_of_count(stalled > 0)});
  cells.push_back({std::to_string(group.processes)});
  return cells;
}

std::string summary_of(const Sample& sample) {
  auto count = [](size_t number, const char* one, const char* more) {
    return std::to_string(number) + (number == 1 ? one : more);
  };
  const auto live = static_cast<size_t>(std::count_if(
      sample.processes.begin(), sample.processes.end(),
      [](const ProcessSample& process) { return !process.ended; }));
  return count(sample.groups.size(), " group, ", " groups, ") +
         count(live, " process, ", " processes, ") +
         size_text(sample.groups.empty() ? 0 : sample.groups[0].usage) +
         " charged";
}

std::string time_of(const Sample& sample, bool fraction) {
  const time_t seconds = sample.wall_ms / 1000;
  tm local = {};
  char text[64];
  if (::localtime_r(&seconds, &local) == nullptr ||
      std::strftime(text, sizeof(text), "%F %T", &local) == 0) {
    return "?";
  }
  if (!fraction) return text;
  char part[16];
  std::snprintf(part, sizeof(part), ".%03d",
                static_cast<int>(sample.wall_ms % 1000));
  return std::string(text) + part;
}

nlohmann::ordered_json json_of_view(const Sample& now, const Sample* before,
                                    const ViewOptions& options) {
  nlohmann::ordered_json groups = nlohmann::ordered_json::array();
  ViewOptions open = options;
  open.processes = false;
  open.folded.clear();
  for (const ViewRow& row : view_rows(now, before, open)) {
    nlohmann::ordered_json group = json_of_group(*row.group);
    for (auto [name, rate] : {std::pair{"growth_per_second", &Rates::growth},
                              {"events_per_second", &Rates::events},
                              {"stalled_now_percent", &Rates::stalled}}) {
      group[name] = nullptr;
      if (row.rates) group[name] = *row.rates.*rate;
    }
    groups.push_back(std::move(group));
  }
  nlohmann::ordered_json document = json_of_sample(now, std::move(groups));
  document["domain"] = now.domain;
  return document;
}

}  // namespace umemcg
