#include "cli/mount/mount_point.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <vector>

namespace umemcg::cgroupfs {
namespace {

namespace fs = std::filesystem;

// "\040" for a blank, as the kernel writes names there.
std::string unescape(const std::string& text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      const std::string digits = text.substr(i + 1, 3);
      plain += static_cast<char>(std::strtol(digits.c_str(), nullptr, 8));
      i += 3;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

// "rw,user_id=1000,group_id=1000".
uid_t user_of(const std::string& options) {
  constexpr char kKey[] = "user_id=";
  const size_t at = options.find(kKey);
  if (at == std::string::npos) return 0;
  const char* value = options.c_str() + at + sizeof(kKey) - 1;
  return static_cast<uid_t>(std::strtoul(value, nullptr, 10));
}

// fusermount3 may unmount what its caller has mounted.
int run_fusermount(const std::string& path, bool lazy) {
  std::vector<std::string> words = {"fusermount3", "-u", "-q"};
  if (lazy) words.push_back("-z");
  words.push_back("--");
  words.push_back(path);
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t quietly;
  posix_spawn_file_actions_init(&quietly);
  posix_spawn_file_actions_addopen(&quietly, STDERR_FILENO, "/dev/null",
                                   O_WRONLY, 0);
  pid_t pid;
  const int error = ::posix_spawnp(&pid, arguments[0], &quietly, nullptr,
                                   arguments.data(), environ);
  posix_spawn_file_actions_destroy(&quietly);
  if (error != 0) return error;
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return status == 0 ? 0 : EBUSY;
}

bool lies_in(const fs::path& link, const std::string& directory) {
  std::error_code error;
  const std::string target = fs::read_symlink(link, error).string();
  return !error &&
         (target == directory ||
          target.compare(0, directory.size() + 1, directory + "/") == 0);
}

bool uses(const fs::path& process, const std::string& directory) {
  if (lies_in(process / "cwd", directory)) return true;
  std::error_code error;
  for (const auto& fd : fs::directory_iterator(process / "fd", error)) {
    if (lies_in(fd.path(), directory)) return true;
  }
  return false;
}

std::string name_of(const fs::path& process) {
  std::ifstream file(process / "comm");
  std::string name;
  std::getline(file, name);
  return process.filename().string() + " (" + name + ")";
}

}  // namespace

MountPoint find_mount(const std::string& path) {
  MountPoint found;
  std::ifstream table("/proc/self/mountinfo");
  for (std::string line; std::getline(table, line);) {
    // 36 35 98:0 /root /directory options - type source ...
    std::istringstream words(line);
    std::string word, directory, type, source;
    for (int i = 0; i < 5; ++i) words >> directory;
    while (words >> word && word != "-") {
    }
    words >> type >> source >> word;
    if (unescape(directory) == path) {
      found = {true, type, unescape(source), user_of(word)};
    }
  }
  return found;
}

std::string absolute_path(const std::string& path) {
  std::error_code error;
  fs::path whole = fs::absolute(path, error).lexically_normal();
  if (!whole.has_filename()) whole = whole.parent_path();
  if (find_mount(whole.string()).mounted) return whole.string();
  char resolved[PATH_MAX];
  if (::realpath(whole.c_str(), resolved) != nullptr) return resolved;
  // Nobody may answer for the last name.
  const fs::path above = whole.parent_path();
  if (::realpath(above.c_str(), resolved) == nullptr) return "";
  whole = fs::path(resolved) / whole.filename();
  return find_mount(whole.string()).mounted ? whole.string() : "";
}

bool answers(const std::string& path) {
  struct stat info;
  return ::stat(path.c_str(), &info) == 0 || errno != ENOTCONN;
}

int take_away(const std::string& path, bool lazy) {
  if (::umount2(path.c_str(), UMOUNT_NOFOLLOW | (lazy ? int{MNT_DETACH} : 0)) ==
      0) {
    return 0;
  }
  return errno == EPERM ? run_fusermount(path, lazy) : errno;
}

std::string users_of(const std::string& path) {
  constexpr int kMostNames = 5;
  std::string names;
  int count = 0;
  std::error_code error;
  for (const auto& process : fs::directory_iterator("/proc", error)) {
    const std::string number = process.path().filename().string();
    if (number.find_first_not_of("0123456789") != std::string::npos ||
        number == std::to_string(::getpid()) || !uses(process.path(), path)) {
      continue;
    }
    if (count++ == kMostNames) return names + ", and others";
    names += (names.empty() ? "" : ", ") + name_of(process.path());
  }
  return names;
}

}  // namespace umemcg::cgroupfs
