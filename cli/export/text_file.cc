#include "cli/export/text_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>

#include "cli/command.h"

namespace umemcg {

int replace_file(const std::string& path, const std::string& text) {
  const std::filesystem::path file(path);
  // A name that the textfile collector does not look at.
  const std::string fresh =
      (file.parent_path() / ("." + file.filename().string() + "." +
                             std::to_string(::getpid()) + ".tmp"))
          .string();
  ::unlink(fresh.c_str());  // left by one of that number that was killed
  const int fd =
      ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (fd < 0) return errno;
  int error = write_all(fd, text);
  if (::close(fd) != 0 && error == 0) error = errno;
  if (error == 0 && std::rename(fresh.c_str(), path.c_str()) != 0) {
    error = errno;
  }
  if (error != 0) ::unlink(fresh.c_str());
  return error;
}

}  // namespace umemcg
