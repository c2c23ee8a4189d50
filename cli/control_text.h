// Control files as text and as JSON.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "accounting/control_file.h"

namespace umemcg {

// The control file of that name. False, with a line on stderr, if there is none
// in the group at `path`.
bool find_file(const std::string& path, uint32_t group, const std::string& name,
               const ControlFile** file);

// The whole content, however long.
std::string read_control_file(const ControlFile& file, uint32_t group);

// The same as JSON: a number or a word, an object of keys and values, or an
// array of them.
nlohmann::ordered_json control_file_json(const ControlFile& file,
                                         uint32_t group);

}  // namespace umemcg
