// Control files as text and as JSON.
#pragma once

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <string>

#include "accounting/control_file.h"

namespace umemcg {

// Adds --v1: names are those of cgroup v1.
void add_v1_flag(CLI::App* command, bool& v1);
inline Hierarchy hierarchy_of(bool v1) {
  return v1 ? Hierarchy::kV1 : Hierarchy::kV2;
}

// The control file of that name: of v2, or, where that has none, of v1; with
// `v1`, of that alone. False, with a line on stderr, if there is none in the
// group at `path`.
bool find_file(const std::string& path, uint32_t group, const std::string& name,
               const ControlFile** file, bool v1 = false);

// The whole content, however long.
std::string read_control_file(const ControlFile& file, uint32_t group);

// The same as JSON: a number or a word, an object of keys and values, or an
// array of them.
nlohmann::ordered_json control_file_json(const ControlFile& file,
                                         uint32_t group);

}  // namespace umemcg
