// `umemcg events`: counts of events, and following them as they happen.

#include <poll.h>
#include <unistd.h>

#include <array>
#include <ctime>
#include <iostream>
#include <map>
#include <memory>
#include <optional>

#include "accounting/event.h"
#include "accounting/mem_cgroup.h"
#include "base/sys.h"
#include "cli/colour.h"
#include "cli/commands.h"
#include "cli/control_text.h"
#include "cli/ending.h"
#include "cli/group_tree.h"
#include "cli/table.h"

namespace umemcg {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

// After a look: events that come in a storm are told together, and looking
// takes a tenth of a processor at most.
constexpr uint64_t kPauseNs = 10'000'000;
constexpr uint64_t kPauseFactor = 9;
// How often it is looked whether the domain is still there, and how late a
// signal may be that comes right before the wait.
constexpr uint64_t kWaitNs = 500'000'000;

struct Options {
  std::string domain, path = "/";
  bool follow = false;
  bool json = false;
};

using Counts = std::array<uint64_t, kEvents>;

// memory.events.local: each event stands in one group.
Counts local_counts(uint32_t group) {
  Counts counts;
  for (size_t e = 0; e < kEvents; ++e) {
    counts[e] = g_segment.group(group)->events_local[e].load(kRelaxed);
  }
  return counts;
}

// "2024-05-06T17:50:11.123Z".
std::string time_now() {
  const uint64_t ms = sys::wall_clock_ms();
  const auto seconds = static_cast<time_t>(ms / 1000);
  tm utc = {};
  char date[32], text[48];
  ::gmtime_r(&seconds, &utc);
  std::strftime(date, sizeof(date), "%FT%T", &utc);
  std::snprintf(text, sizeof(text), "%s.%03uZ", date,
                static_cast<unsigned>(ms % 1000));
  return text;
}

// Tells of each group in a subtree what its counts have gone up by since the
// last look. Totals of one look are where the next one goes on from, so
// nothing is lost in between, nor before the first.
class Follower {
 public:
  explicit Follower(uint32_t root) : root_(root) {}

  void look() {
    time_ = time_now();
    std::map<uint64_t, Known> now;
    for (const TreeEntry& entry : list_subtree(root_)) {
      const uint64_t id = group_id(g_segment, entry.group);
      const auto before = known_.find(id);
      Known group = before != known_.end() ? before->second
                                           : Known{entry.group, entry.path, {}};
      if (first_) begin(&group);
      tell(&group);
      now[id] = group;
      known_.erase(id);
    }
    // What was removed: its row may still say what happened last.
    for (auto& [id, group] : known_) {
      if (group_id(g_segment, group.index) == id) tell(&group);
    }
    known_ = std::move(now);
    first_ = false;
    std::cout.flush();
  }

 private:
  struct Known {
    uint32_t index;
    std::string path;
    Counts counts;
  };

  // What happened before it was looked at all: a total, and no count.
  void begin(Known* group) {
    group->counts = local_counts(group->index);
    for (size_t e = 0; e < kEvents; ++e) {
      if (group->counts[e] != 0) print(*group, e, {});
    }
  }

  void tell(Known* group) {
    const Counts counts = local_counts(group->index);
    for (size_t e = 0; e < kEvents; ++e) {
      if (counts[e] <= group->counts[e]) continue;
      const uint64_t by = counts[e] - group->counts[e];
      group->counts[e] = counts[e];
      print(*group, e, by);
    }
  }

  void print(const Known& group, size_t event, std::optional<uint64_t> count) {
    nlohmann::ordered_json line = {
        {"time", time_}, {"group", group.path}, {"event", kEventNames[event]}};
    if (count) {
      line["count"] = *count;
    } else {
      line["start"] = true;
    }
    line["total"] = group.counts[event];
    std::cout << json_line(line) << '\n';
  }

  const uint32_t root_;
  std::map<uint64_t, Known> known_;  // by id
  std::string time_;
  bool first_ = true;
};

// Whether nobody reads what is printed any more, as after `| head -1`.
bool reader_gone() {
  pollfd output = {STDOUT_FILENO, 0, 0};
  return ::poll(&output, 1, 0) > 0 &&
         (output.revents & (POLLERR | POLLHUP)) != 0;
}

int follow(uint32_t root, uint64_t id) {
  const Ending ending;
  Follower follower(root);
  int error = 0;
  while (!ending.asked() && error != ENODEV && std::cout && !reader_gone() &&
         !domain_gone()) {
    // Before the look: what comes in the middle of it is looked at again.
    const uint64_t seen = event_generation(g_segment, root);
    const uint64_t begun = sys::monotonic_ns();
    follower.look();
    const uint64_t taken = sys::monotonic_ns() - begun;
    ending.wait(sys::monotonic_ns() + kPauseNs + kPauseFactor * taken);
    do {
      error = wait_for_event(g_segment, root, id, seen, kWaitNs);
    } while (error == ETIMEDOUT && !ending.asked() && !reader_gone() &&
             !domain_gone());
  }
  if (!reader_gone()) follower.look();  // what came before the end
  if (error == ENODEV) std::cerr << "umemcg: the group has been removed\n";
  return kDone;
}

void print_table(uint32_t root) {
  std::vector<Cell> headings = {"group"};
  headings.insert(headings.end(), kEventNames, kEventNames + kEvents);
  Table table(headings, "l" + std::string(kEvents, 'r'));
  for (const TreeEntry& entry : list_subtree(root)) {
    std::vector<Cell> cells = {entry.path};
    for (const auto& count : g_segment.group(entry.group)->events) {
      const uint64_t value = count.load(kRelaxed);
      cells.push_back({std::to_string(value), tone_of_count(value)});
    }
    table.add(cells);
  }
  table.print(std::cout);
}

void print_document(uint32_t root) {
  nlohmann::ordered_json groups = nlohmann::ordered_json::object();
  const ControlFile* file = find_control_file("memory.events");
  for (const TreeEntry& entry : list_subtree(root)) {
    groups[entry.path] = control_file_json(*file, entry.group);
  }
  print_json({{"domain", g_segment.path()}, {"groups", groups}});
}

int events(const Options& options) {
  uint32_t root;
  uint64_t id;
  if (!open_domain(options.domain) ||
      !find_group_at(options.path, &root, &id)) {
    return kFailed;
  }
  if (options.follow) return follow(root, id);
  if (options.json) {
    print_document(root);
  } else {
    print_table(root);
  }
  return kDone;
}

}  // namespace

void add_events_command(CLI::App& app, Action& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "events",
      "Show how often limits were met, of each group with those below it");
  add_domain_option(command, options->domain);
  add_json_flag(command, options->json);
  command->add_flag(
      "-f,--follow", options->follow,
      "print what happens, in each group itself, as lines of "
      "JSON, until interrupted; first, marked \"start\", the totals of "
      "what has happened");
  command->add_option("path", options->path, "from this group on (default /)")
      ->type_name("PATH");
  command->callback(
      [options, &chosen] { chosen = [options] { return events(*options); }; });
}

}  // namespace umemcg
