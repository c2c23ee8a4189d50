// Words for the scripts of completion.h.
#pragma once

#include <string>
#include <vector>

namespace umemcg {

// In single quotes, as bash and zsh read them.
std::string shell_quoted(const std::string& text);

// With a blank between them.
std::string joined(const std::vector<std::string>& words);

// All control files, of both hierarchies.
std::string control_file_words();

}  // namespace umemcg
