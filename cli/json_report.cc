#include "cli/json_report.h"

#include <nlohmann/json.hpp>

#include "accounting/mem_cgroup.h"
#include "cli/command.h"
#include "cli/control_text.h"

namespace umemcg {
namespace {

using Json = nlohmann::ordered_json;

Json group_json(uint32_t group) {
  Json object;
  for (const ControlFile* file = control_files(Hierarchy::kV2);
       file->name != nullptr; ++file) {
    // Lists of processes and threads: they have ended.
    if (file->format == Format::kLines || file->show == nullptr ||
        !has_control_file(g_segment, group, *file)) {
      continue;
    }
    object[file->name] = control_file_json(*file, group);
  }
  if (object.contains("memory.stat")) {
    for (const char* key : {"charged_bytes", "uncharged_bytes"}) {
      object[key] = object["memory.stat"][key];
    }
  }
  object["processes"] =
      g_segment.group(group)->processes_total.load(std::memory_order_relaxed);
  return object;
}

}  // namespace

std::string json_report(int exit_status, uint32_t root) {
  Json groups = Json::object();
  for (uint32_t i = next_group(g_segment, kNone); i != kNone;
       i = next_group(g_segment, i)) {
    if (in_subtree(g_segment, i, root))
      groups[path_of_group(i)] = group_json(i);
  }
  const Json report = {{"exit_status", exit_status}, {"groups", groups}};
  return json_text(report, 2);
}

}  // namespace umemcg
