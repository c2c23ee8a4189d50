// A recording: lines of JSON, the first one a header with the version of the
// form, each other one a sample (sample_json.h).
#pragma once

#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

#include "cli/sample.h"

namespace umemcg {

inline constexpr int kRecordingVersion = 1;

// The first line, without its end.
std::string recording_header(const std::string& domain, double interval_s);

// Whether the file begins as a recording does.
bool is_recording(int fd);

class Recording {
 public:
  // Finds the lines of the file. Empty, or what is wrong with it. A last line
  // that is cut off, as a killed recorder leaves it, is left out.
  std::string open(const std::string& path);

  // Samples.
  size_t size() const { return lines_.size(); }
  bool cut_off() const { return cut_off_; }
  // Empty, or what is wrong with that line of the file.
  std::string read(size_t index, Sample* sample);

 private:
  std::string read_header(const std::string& line);
  std::string wrong_line(size_t number, const std::string& why) const;

  std::string path_, domain_;
  std::ifstream file_;
  std::vector<std::streamoff> lines_;  // where the samples begin
  bool cut_off_ = false;
};

}  // namespace umemcg
