// Scripts by which a shell completes umemcg's command line. What changes while
// programs run (domains, groups, processes) they ask umemcg for.
#pragma once

#include <string>
#include <vector>

#include "cli/help/syntax.h"

namespace umemcg {

std::string bash_completion(const std::vector<CommandSyntax>& commands);
std::string zsh_completion(const std::vector<CommandSyntax>& commands);
std::string fish_completion(const std::vector<CommandSyntax>& commands);

}  // namespace umemcg
