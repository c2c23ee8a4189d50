#include "cli/help/words.h"

#include "accounting/control_file.h"

namespace umemcg {

std::string shell_quoted(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '\'') {
      out += "'\\''";
    } else {
      out += c;
    }
  }
  return "'" + out + "'";
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) {
    text += (text.empty() ? "" : " ") + word;
  }
  return text;
}

std::string control_file_words() {
  std::vector<std::string> names;
  for (Hierarchy hierarchy : {Hierarchy::kV2, Hierarchy::kV1}) {
    for (const ControlFile* file = control_files(hierarchy);
         file->name != nullptr; ++file) {
      names.push_back(file->name);
    }
  }
  return joined(names);
}

}  // namespace umemcg
