#include "cli/mount/unloaded.h"

#include <dlfcn.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <vector>

#include "cli/command.h"

namespace umemcg::cgroupfs {
namespace {

constexpr char kVariable[] = "LD_PRELOAD";

// The name under which the library was loaded; empty: it was not.
std::string loaded_as() {
  const void* known = ::dlsym(RTLD_DEFAULT, "umemcg_group_open");
  Dl_info info;
  if (known == nullptr || ::dladdr(known, &info) == 0) return "";
  return info.dli_fname;
}

// The list without that name. As ld.so(8) splits it.
std::string list_without(const std::string& list, const std::string& name) {
  std::string rest;
  for (size_t at = 0; at < list.size();) {
    const size_t end = std::min(list.find_first_of(" :", at), list.size());
    const std::string word = list.substr(at, end - at);
    if (!word.empty() && word != name) rest += (rest.empty() ? "" : ":") + word;
    at = end + 1;
  }
  return rest;
}

// This process's, as they were given.
std::vector<std::string> arguments() {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  std::vector<std::string> words;
  for (std::string word; std::getline(file, word, '\0');) words.push_back(word);
  return words;
}

}  // namespace

std::string begin_without_library() {
  const std::string name = loaded_as();
  if (name.empty()) return "";
  const char* before = std::getenv(kVariable);
  const std::string list = before != nullptr ? before : "";
  const std::string rest = list_without(list, name);
  if (rest == list) {
    return name + " is loaded into umemcg itself, by other means than " +
           kVariable + "; run this outside of it";
  }
  rest.empty() ? ::unsetenv(kVariable) : ::setenv(kVariable, rest.c_str(), 1);
  std::vector<std::string> words = arguments();
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  ::execv("/proc/self/exe", pointers.data());
  return "umemcg cannot be started without " + name + " (" + error_text(errno) +
         "); unset " + kVariable;
}

}  // namespace umemcg::cgroupfs
