#include "cli/program.h"

#include <elf.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <sstream>

namespace umemcg {
namespace {

constexpr int kNotFound = 127;
constexpr int kNotExecutable = 126;

bool is_file(const std::string& path) {
  struct stat info;
  return ::stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode);
}

int refuse(const std::string& name, const char* what, int status) {
  std::cerr << "umemcg: " << name << ": " << what << '\n';
  return status;
}

// The first executable of that name in PATH; if there is none, a file of that
// name that is not executable; else empty.
std::string search_path(const std::string& name) {
  const char* path = std::getenv("PATH");
  std::istringstream folders(path != nullptr ? path : "/usr/bin:/bin");
  std::string folder, other;
  while (std::getline(folders, folder, ':')) {
    std::string candidate = (folder.empty() ? "." : folder) + "/" + name;
    if (!is_file(candidate)) continue;
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
    if (other.empty()) other = candidate;
  }
  return other;
}

enum class Kind { kDynamic, kStatic, kScript, kOther };

// Whether the ELF file names a dynamic linker, which is what reads LD_PRELOAD.
Kind elf_kind(std::ifstream& file, const Elf64_Ehdr& header) {
  for (int i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr segment;
    file.seekg(static_cast<std::streamoff>(header.e_phoff) +
               i * header.e_phentsize);
    if (!file.read(reinterpret_cast<char*>(&segment), sizeof(segment))) {
      return Kind::kOther;
    }
    if (segment.p_type == PT_INTERP) return Kind::kDynamic;
  }
  return Kind::kStatic;
}

Kind kind_of(const std::string& path, std::string* interpreter) {
  std::ifstream file(path, std::ios::binary);
  Elf64_Ehdr header{};
  file.read(reinterpret_cast<char*>(&header), sizeof(header));
  if (std::memcmp(header.e_ident, "#!", 2) == 0) {
    std::ifstream script(path);
    std::string line;
    std::getline(script, line);
    std::istringstream(line.substr(2)) >> *interpreter;
    return Kind::kScript;
  }
  if (!file || std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
      header.e_ident[EI_CLASS] != ELFCLASS64) {
    return Kind::kOther;
  }
  return elf_kind(file, header);
}

// Whether the program would run with other rights than the user's: the dynamic
// linker ignores LD_PRELOAD then.
bool changes_rights(const std::string& path) {
  struct statvfs system;
  struct stat info;
  if (::stat(path.c_str(), &info) != 0 ||
      ::statvfs(path.c_str(), &system) != 0 ||
      (system.f_flag & ST_NOSUID) != 0) {
    return false;
  }
  if ((info.st_mode & S_ISUID) != 0 && info.st_uid != ::getuid()) return true;
  if ((info.st_mode & S_ISGID) != 0 && info.st_gid != ::getgid()) return true;
  return ::geteuid() != 0 &&
         ::getxattr(path.c_str(), "security.capability", nullptr, 0) > 0;
}

void warn_unreachable(const std::string& path, int depth = 0) {
  std::string interpreter;
  if (changes_rights(path)) {
    std::cerr << "umemcg: " << path
              << " is setuid, setgid or has capabilities: the system ignores "
                 "LD_PRELOAD for it, so it runs without a limit\n";
    return;
  }
  switch (kind_of(path, &interpreter)) {
    case Kind::kStatic:
      std::cerr << "umemcg: " << path
                << " is statically linked: LD_PRELOAD does not reach it, so it "
                   "runs without a limit\n";
      break;
    case Kind::kScript:
      if (depth < 4 && !interpreter.empty()) {
        warn_unreachable(interpreter, depth + 1);
      }
      break;
    default:
      break;
  }
}

}  // namespace

int find_program(const std::string& name, Program* program) {
  bool has_folder = name.find('/') != std::string::npos;
  program->path = has_folder ? name : search_path(name);
  if (program->path.empty() || ::access(program->path.c_str(), F_OK) != 0) {
    return refuse(name, "command not found", kNotFound);
  }
  if (!is_file(program->path)) {
    return refuse(name, "is not a file that can be executed", kNotExecutable);
  }
  if (::access(program->path.c_str(), X_OK) != 0) {
    return refuse(name, "permission denied: it is not executable",
                  kNotExecutable);
  }
  warn_unreachable(program->path);
  return 0;
}

}  // namespace umemcg
