// Where libumemcg.so is, in a form that LD_PRELOAD takes.
#pragma once

#include <string>

namespace umemcg {

// What it loads, from the folder that it is in or as the system finds it.
inline constexpr char kAllocatorFile[] = "libmimalloc.so.3";

// Looks for it beside the program and in ../lib. Empty, or what is wrong.
std::string find_library(std::string* path);

// Tries it in a child: the dynamic linker runs a program all the same whose
// preloaded library lacks something, unaccounted. Empty, or what it says.
std::string why_not_loaded(const std::string& library);

class PreloadPath {
 public:
  ~PreloadPath();

  // LD_PRELOAD splits at blanks and colons: a path with one is reached through
  // links in a folder beside `domain_path`, which goes away with this object.
  // Empty, or what is wrong.
  std::string find(const std::string& domain_path);

  // The value of LD_PRELOAD: the library, then what was there before.
  std::string preload() const;

 private:
  std::string link_into(const std::string& folder);

  std::string library_;
  std::string links_;
};

}  // namespace umemcg
