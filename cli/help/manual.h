// The manual page umemcg(1).
#pragma once

#include <string>
#include <vector>

#include "cli/help/syntax.h"

namespace umemcg {

// In the language of man(7).
std::string manual_page(const std::vector<CommandSyntax>& commands);

}  // namespace umemcg
