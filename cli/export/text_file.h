// A file that others read while it is written anew: for the textfile collector
// of Prometheus' node exporter.
#pragma once

#include <string>

namespace umemcg {

// Whoever opens `path` finds the former text or this one, whole. 0 or an error
// number; then nothing is left behind.
int replace_file(const std::string& path, const std::string& text);

}  // namespace umemcg
