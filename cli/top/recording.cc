#include "cli/top/recording.h"

#include <cerrno>

#include "cli/command.h"
#include "cli/top/sample_json.h"

namespace umemcg {
namespace {

constexpr char kVersionKey[] = "umemcg_recording";

// What the library says of an error begins with its own number for it:
// "[json.exception.parse_error.101] parse error at ...".
std::string without_number(const std::string& what) {
  const size_t end = what.find("] ");
  return end == std::string::npos ? what : what.substr(end + 2);
}

}  // namespace

std::string recording_header(const std::string& domain, double interval_s) {
  return json_line({{kVersionKey, kRecordingVersion},
                    {"program", UMEMCG_VERSION},
                    {"domain", domain},
                    {"interval_ms", static_cast<int64_t>(interval_s * 1e3)}});
}

bool is_recording(int fd) {
  // (Open for writing alone.)
  std::ifstream file("/proc/self/fd/" + std::to_string(fd));
  const std::string begin = std::string("{\"") + kVersionKey + "\":";
  std::string found(begin.size(), '\0');
  file.read(found.data(), static_cast<std::streamsize>(found.size()));
  return file && found == begin;
}

std::string Recording::wrong_line(size_t number, const std::string& why) const {
  return path_ + ":" + std::to_string(number) + ": " + why;
}

std::string Recording::read_header(const std::string& line) {
  try {
    const auto header = nlohmann::json::parse(line);
    const int version = header.at(kVersionKey);
    if (version != kRecordingVersion) {
      return wrong_line(1, "a recording of version " + std::to_string(version) +
                               "; this program reads "
                               "version " +
                               std::to_string(kRecordingVersion));
    }
    domain_ = header.at("domain");
    return "";
  } catch (const nlohmann::json::exception&) {
    return wrong_line(1,
                      "is not the first line of a recording; make one with "
                      "`umemcg record FILE`");
  }
}

std::string Recording::open(const std::string& path) {
  path_ = path;
  errno = 0;
  file_.open(path);
  std::string line;
  if (!file_ || !std::getline(file_, line)) {
    return errno != 0 ? path + " cannot be read (" + error_text(errno) + ")"
                      : path +
                            " is empty; `umemcg record FILE` makes a "
                            "recording";
  }
  if (std::string why = read_header(line); !why.empty()) return why;
  std::streamoff at = file_.tellg();
  bool whole = !file_.eof();
  while (whole && std::getline(file_, line)) {
    lines_.push_back(at);
    whole = !file_.eof();
    at = file_.tellg();
  }
  file_.clear();
  Sample last;
  if (!whole && !lines_.empty() && !read(lines_.size() - 1, &last).empty()) {
    lines_.pop_back();
    cut_off_ = true;
  }
  return lines_.empty() ? path + " holds no sample" : "";
}

std::string Recording::read(size_t index, Sample* sample) {
  std::string line;
  file_.clear();
  file_.seekg(lines_[index]);
  if (!std::getline(file_, line)) {
    return wrong_line(index + 2, "cannot be read (any more)");
  }
  try {
    *sample = sample_of_json(nlohmann::json::parse(line));
    sample->domain = domain_;
    return "";
  } catch (const nlohmann::json::exception& error) {
    return wrong_line(index + 2,
                      "is no sample: " + without_number(error.what()));
  }
}

}  // namespace umemcg
