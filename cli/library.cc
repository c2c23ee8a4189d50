#include "cli/library.h"

#include <cstdlib>
#include <filesystem>
#include <system_error>

namespace umemcg {
namespace {

namespace fs = std::filesystem;

constexpr char kLibrary[] = "libumemcg.so";
constexpr char kAllocator[] = "libmimalloc.so.3";

bool splits(const std::string& path) {
  return path.find_first_of(" \t:") != std::string::npos;
}

}  // namespace

PreloadPath::~PreloadPath() {
  std::error_code ignored;
  if (!links_.empty()) fs::remove_all(links_, ignored);
}

// libumemcg.so finds libmimalloc beside the name it was loaded by, so both are
// linked.
std::string PreloadPath::link_into(const std::string& folder) {
  std::error_code error;
  fs::create_directory(folder, error);
  links_ = folder;
  fs::path from = fs::path(library_).parent_path();
  for (const char* name : {kLibrary, kAllocator}) {
    if (!error && fs::exists(from / name)) {
      fs::create_symlink(from / name, fs::path(folder) / name, error);
    }
  }
  if (error) {
    return "the path of libumemcg.so has a blank or a colon, and no link to "
           "it could be made in " +
           folder + " (" + error.message() + ")";
  }
  library_ = folder + "/" + kLibrary;
  return "";
}

std::string PreloadPath::find(const std::string& domain_path) {
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  const fs::path here = program.parent_path();
  for (const fs::path& folder : {here, here / "../lib", here / UMEMCG_LIBDIR}) {
    fs::path candidate = folder / kLibrary;
    if (fs::exists(candidate, error)) {
      library_ = fs::canonical(candidate, error).string();
      break;
    }
  }
  if (library_.empty()) {
    return "libumemcg.so is neither beside " + program.string() +
           " nor in ../lib; install or build it there";
  }
  return splits(library_) ? link_into(domain_path + ".lib") : "";
}

std::string PreloadPath::preload() const {
  const char* before = std::getenv("LD_PRELOAD");
  if (before == nullptr || *before == '\0') return library_;
  const std::string others(before);
  // A run inside a run.
  if ((others + ":").rfind(library_ + ":", 0) == 0) return others;
  return library_ + ":" + others;
}

}  // namespace umemcg
