// The UMEMCG_* variables: one table of name, what it accepts, and what it
// sets. Read once, before the first allocation, without malloc. A bad value is
// one line on stderr, and the program runs without that setting.
#pragma once

#include <cstddef>
#include <cstdint>

#include "accounting/kind.h"

namespace umemcg {

inline constexpr int64_t kUnset = -1;

struct Config {
  int64_t max = kUnset;  // pages
  int64_t high = kUnset;
  int64_t low = kUnset;
  int64_t min = kUnset;
  int64_t reserve = kUnset;
  const char* group = nullptr;   // path
  const char* domain = nullptr;  // name or path
  const char* report = nullptr;  // "stderr" or a file
  const char* oom = nullptr;     // policy of the process's group
  KindSet account = KindSet::all();
  bool verbose = true;
  bool worker = false;
  bool thp = false;
  bool disable = false;
};

Config read_config();

// The value of an environment variable, or null; works before the C library
// has set up its own view of the environment.
const char* environment(const char* name);

}  // namespace umemcg
