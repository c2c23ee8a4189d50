// `umemcg domains`: the user's domains, those of runs that go on included.

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <memory>
#include <optional>
#include <system_error>

#include "accounting/domain.h"
#include "accounting/mem_cgroup.h"
#include "cli/census.h"
#include "cli/commands.h"
#include "cli/domain_file.h"
#include "cli/table.h"

namespace umemcg {
namespace {

namespace fs = std::filesystem;

struct Numbers {
  uint64_t groups = 0;
  int64_t live = 0;
  int64_t charged_pages = 0;
};

struct Entry {
  std::string name, path;
  bool stale = false;  // of a run, and nobody is in it: `umemcg gc` removes it
  std::string wrong;   // why it cannot be looked at
  std::optional<Numbers> numbers;
};

fs::path user_folder() {
  Line path;
  domain_path(kDefaultDomain, path);
  return fs::path(path.c_str()).parent_path();
}

// REQUIRES: it is mapped into g_segment.
Numbers count_all() {
  settle_domain();
  Numbers numbers;
  for (uint32_t i = next_group(g_segment, kNone); i != kNone;
       i = next_group(g_segment, i)) {
    ++numbers.groups;
  }
  const Census census = take_census();
  numbers.live =
      std::count_if(census.processes.begin(), census.processes.end(),
                    [](const ProcessEntry& process) { return !process.ended; });
  numbers.charged_pages =
      std::max<int64_t>(0, g_segment.group(kRootGroup)->memory.usage());
  return numbers;
}

// Nothing, if it is another kind of file, or gone by now.
std::optional<Entry> look_at(const fs::path& path) {
  const int fd =
      ::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0) return {};
  const bool domain = is_domain_file(fd);
  Entry entry;
  entry.name = path.filename().string();
  entry.path = path.string();
  entry.stale = entry.name.rfind(kRunPrefix, 0) == 0 && !domain_in_use(fd);
  ::close(fd);
  if (!domain) return {};
  const char* why = "";
  if (g_segment.attach_file(path.c_str(), &why) != 0) {
    entry.wrong = why;
  } else {
    entry.numbers = count_all();
    g_segment.detach();
  }
  return entry;
}

std::vector<Entry> list_domains() {
  std::vector<Entry> entries;
  std::error_code error;
  for (const auto& file : fs::directory_iterator(user_folder(), error)) {
    // One that is being made.
    if (file.path().filename().string()[0] == '.') continue;
    if (std::optional<Entry> entry = look_at(file.path())) {
      entries.push_back(std::move(*entry));
    }
  }
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return a.name < b.name; });
  return entries;
}

void print_table(const std::vector<Entry>& entries) {
  if (entries.empty()) {
    std::cout << "there is no domain in " << user_folder().string() << '\n';
    return;
  }
  Table table({"domain", "groups", "processes", "charged", "note"}, "lrrrl");
  for (const Entry& entry : entries) {
    const std::string note = entry.wrong.empty() && entry.stale
                                 ? "left by a run; umemcg gc removes it"
                                 : entry.wrong;
    if (!entry.numbers) {
      table.add({entry.name, "-", "-", "-", note});
      continue;
    }
    table.add({entry.name, std::to_string(entry.numbers->groups),
               std::to_string(entry.numbers->live),
               size_cell(entry.numbers->charged_pages), note});
  }
  table.print(std::cout);
}

void print_document(const std::vector<Entry>& entries) {
  using Json = nlohmann::ordered_json;
  Json list = Json::array();
  for (const Entry& entry : entries) {
    Json object = {
        {"name", entry.name}, {"path", entry.path}, {"stale", entry.stale}};
    if (entry.numbers) {
      object["groups"] = entry.numbers->groups;
      object["processes"] = entry.numbers->live;
      object["charged"] = entry.numbers->charged_pages << kPageShift;
    } else {
      object["error"] = entry.wrong;
    }
    list.push_back(std::move(object));
  }
  print_json({{"folder", user_folder().string()}, {"domains", list}});
}

}  // namespace

void add_domains_command(CLI::App& app, Action& chosen) {
  auto json = std::make_shared<bool>(false);
  CLI::App* command = app.add_subcommand(
      "domains",
      "List your domains, by name: those of runs that go on, those that were "
      "made, and those that runs have left behind");
  add_json_flag(command, *json);
  command->callback([json, &chosen] {
    chosen = [json] {
      const std::vector<Entry> entries = list_domains();
      if (*json) {
        print_document(entries);
      } else {
        print_table(entries);
      }
      return kDone;
    };
  });
}

}  // namespace umemcg
