// A daemon that is no member of the domain that it serves.
#pragma once

#include <string>

namespace umemcg::cgroupfs {

// Where the library is preloaded into this process (`umemcg run` around it, or
// around its shell), begins the program anew without it: the tree could freeze
// or kill its own daemon, and nobody would answer any more. What else is to be
// preloaded stays. Returns "" where it is not; else what is wrong.
std::string begin_without_library();

}  // namespace umemcg::cgroupfs
