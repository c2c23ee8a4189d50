#include "cli/library.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "cli/command.h"

namespace umemcg {
namespace {

namespace fs = std::filesystem;

constexpr char kLibrary[] = "libumemcg.so";

bool splits(const std::string& path) {
  return path.find_first_of(" \t:") != std::string::npos;
}

}  // namespace

std::string find_library(std::string* path) {
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  const fs::path here = program.parent_path();
  for (const fs::path& folder : {here, here / "../lib", here / UMEMCG_LIBDIR}) {
    const fs::path candidate = folder / kLibrary;
    if (fs::exists(candidate, error)) {
      *path = fs::canonical(candidate, error).string();
      return "";
    }
  }
  return "libumemcg.so is neither beside " + program.string() +
         " nor in ../lib; install or build it there";
}

std::string why_not_loaded(const std::string& library) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return "";
  const pid_t child = ::fork();
  if (child == 0) {
    // It joins nothing, and says nothing of variables that it is told here.
    ::clearenv();
    ::setenv("UMEMCG_DISABLE", "1", 1);
    if (::dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL) == nullptr) {
      write_all(ends[1], ::dlerror());
    }
    ::_exit(0);
  }
  ::close(ends[1]);
  std::string why;
  char part[512];
  for (ssize_t got; (got = ::read(ends[0], part, sizeof(part))) > 0;) {
    why.append(part, static_cast<size_t>(got));
  }
  ::close(ends[0]);
  if (child > 0) ::waitpid(child, nullptr, 0);
  return why;
}

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
  for (const char* name : {kLibrary, kAllocatorFile}) {
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
  const std::string why = find_library(&library_);
  if (!why.empty()) return why;
  const std::string broken = why_not_loaded(library_);
  if (!broken.empty()) {
    return library_ + " cannot be loaded (" + broken + "); install " +
           kAllocatorFile + " beside it, or where the system finds it";
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
