// Where libumemcg.so is, in a form that LD_PRELOAD takes.
#pragma once

#include <string>

namespace umemcg {

class PreloadPath {
 public:
  ~PreloadPath();

  // Looks beside the program and in ../lib. LD_PRELOAD splits at blanks and
  // colons: a path with one is reached through links in a folder beside
  // `domain_path`, which goes away with this object. Empty, or what is wrong.
  std::string find(const std::string& domain_path);

  // The value of LD_PRELOAD: the library, then what was there before.
  std::string preload() const;

 private:
  std::string link_into(const std::string& folder);

  std::string library_;
  std::string links_;
};

}  // namespace umemcg
