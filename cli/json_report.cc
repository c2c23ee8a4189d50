#include "cli/json_report.h"

#include <nlohmann/json.hpp>
#include <sstream>

#include "accounting/control_file.h"
#include "accounting/mem_cgroup.h"

namespace umemcg {
namespace {

using nlohmann::json;

json value_of(const std::string& text) {
  if (text.find_first_not_of("0123456789") != std::string::npos) return text;
  return std::stoull(text);
}

// A control file's content: one value, or lines of key and value.
json parse_content(const std::string& content) {
  std::istringstream lines(content);
  std::string key, value, line;
  json object = json::object();
  while (std::getline(lines, line)) {
    std::istringstream words(line);
    words >> key;
    if (!(words >> value)) return value_of(key);
    object[key] = value_of(value);
  }
  return object;
}

json group_json(Segment& segment, uint32_t index) {
  json object;
  for (const ControlFile* file = kControlFiles; file->name != nullptr; ++file) {
    if (std::string(file->name) == "cgroup.procs") continue;
    Text<kControlFileSize> content;
    file->show(segment, index, content);
    object[file->name] = parse_content(content.c_str());
  }
  const Group& group = *segment.group(index);
  object["charged_bytes"] = object["memory.stat"]["charged_bytes"];
  object["uncharged_bytes"] = object["memory.stat"]["uncharged_bytes"];
  object["processes"] = group.processes_total.load(std::memory_order_relaxed);
  return object;
}

}  // namespace

std::string json_report(Segment& segment, int exit_status) {
  json groups = json::object();
  for (uint32_t i = 0; i < segment.groups_used(); ++i) {
    // acquire: pairs with the making of the group.
    if (segment.group(i)->state.load(std::memory_order_acquire) !=
        GroupState::kOnline) {
      continue;
    }
    Text<8192> path;
    group_path(segment, i, path);
    groups[path.c_str()] = group_json(segment, i);
  }
  json report = {{"exit_status", exit_status}, {"groups", groups}};
  // A name may hold any bytes: what is not UTF-8 is replaced, not refused.
  return report.dump(2, ' ', false, json::error_handler_t::replace);
}

}  // namespace umemcg
