#include "cli/control_text.h"

#include <cerrno>
#include <sstream>
#include <vector>

#include "cli/command.h"

namespace umemcg {
namespace {

using Json = nlohmann::ordered_json;

Json value_of(const std::string& text) {
  if (text.empty() || text.size() > 20 ||
      text.find_first_not_of("0123456789") != std::string::npos) {
    return text;
  }
  return std::stoull(text);
}

std::string all_names(Hierarchy hierarchy) {
  std::string names;
  for (const ControlFile* file = control_files(hierarchy);
       file->name != nullptr; ++file) {
    names += (names.empty() ? "" : " ") + std::string(file->name);
  }
  return names;
}

Json words_of(std::istringstream& content) {
  Json words = Json::array();
  for (std::string word; content >> word;) words.push_back(value_of(word));
  return words;
}

Json keyed_of(std::istringstream& content) {
  Json object = Json::object();
  for (std::string key, value; content >> key >> value;) {
    object[key] = value_of(value);
  }
  return object;
}

Json nested_of(std::istringstream& content) {
  Json object = Json::object();
  for (std::string line; std::getline(content, line);) {
    std::istringstream words(line);
    std::string key, word;
    words >> key;
    while (words >> word) {
      const size_t sign = word.find('=');
      if (sign == std::string::npos) continue;
      const std::string value = word.substr(sign + 1);
      object[key][word.substr(0, sign)] = value.find('.') == std::string::npos
                                              ? value_of(value)
                                              : Json(std::stod(value));
    }
  }
  return object;
}

// Why a group has not got the file.
std::string missing_because(const ControlFile& file) {
  const std::string name = file.name;
  if (name == "memory.numa_stat") {
    return "the machine has several memory nodes, and pages are not followed";
  }
  if (name == "memory.pressure") {
    return "pressure is not counted there; write 1 to its cgroup.pressure";
  }
  return "its parent does not hand the memory controller on; write +memory "
         "to the parent's cgroup.subtree_control";
}

}  // namespace

void add_v1_flag(CLI::App* command, bool& v1) {
  command->add_flag("--v1", v1, "by the names of cgroup v1");
}

bool find_file(const std::string& path, uint32_t group, const std::string& name,
               const ControlFile** file, bool v1) {
  *file = v1 ? find_control_file(name.c_str(), Hierarchy::kV1)
             : find_control_file(name.c_str());
  if (*file == nullptr) {
    fail("there is no control file " + name + " (" + error_text(ENOENT) +
         "); there are " + all_names(hierarchy_of(v1)));
    return false;
  }
  if (!has_control_file(g_segment, group, **file)) {
    fail("the group " + path + " has no " + name + " (" + error_text(ENOENT) +
         "): " + missing_because(**file));
    return false;
  }
  return true;
}

std::string read_control_file(const ControlFile& file, uint32_t group) {
  std::vector<char> buffer(kControlFileSize);
  for (;;) {
    TextBuffer content(buffer.data(), buffer.size());
    file.show(g_segment, group, content);
    if (content.wanted() == content.length()) {
      return std::string(content.c_str(), content.length());
    }
    // It may have grown until it is asked again.
    buffer.resize(content.wanted() + kControlFileSize);
  }
}

Json control_file_json(const ControlFile& file, uint32_t group) {
  std::istringstream content(read_control_file(file, group));
  if (file.format == Format::kKeyed) return keyed_of(content);
  if (file.format == Format::kNested) return nested_of(content);
  const Json words = words_of(content);
  if (file.format != Format::kValue) return words;
  return words.empty() ? Json("") : words[0];
}

}  // namespace umemcg
