// Where the samples come from that `top` and `replay` show: the domain, now,
// or a recording.
#pragma once

#include <string>

#include "cli/sample.h"
#include "cli/top/recording.h"

namespace umemcg {

class Feed {
 public:
  Feed() = default;
  virtual ~Feed() = default;
  Feed(const Feed&) = delete;
  Feed& operator=(const Feed&) = delete;

  // Turns to the next sample. False if there is none.
  virtual bool next() = 0;
  // So many samples on (or back, below 0), as far as there are.
  virtual void move(int64_t by) = 0;
  // To the sample of that number, from 1, or to the first from that time of the
  // day on ("17:50" or "17:50:11"). False if that is neither.
  virtual bool jump(const std::string& to) = 0;
  virtual bool recorded() const = 0;
  // "sample 12 of 120"; empty for the domain.
  virtual std::string place() const = 0;
  // Why there is no next sample, for people; empty if that is no error.
  virtual std::string error() const = 0;

  // REQUIRES: next() was true.
  const Sample& now() const { return now_; }
  // Null for the first one.
  const Sample* before() const { return has_before_ ? &before_ : nullptr; }

 protected:
  Sample now_, before_;
  bool has_before_ = false;
};

// REQUIRES: open_domain() has been called.
class LiveFeed : public Feed {
 public:
  // It ends with the domain.
  bool next() override;
  void move(int64_t) override {}
  bool jump(const std::string&) override { return false; }
  bool recorded() const override { return false; }
  std::string place() const override { return ""; }
  std::string error() const override { return ""; }

 private:
  bool begun_ = false;
};

class RecordedFeed : public Feed {
 public:
  explicit RecordedFeed(Recording& recording) : recording_(recording) {}

  bool next() override;
  void move(int64_t by) override;
  bool jump(const std::string& to) override;
  bool recorded() const override { return true; }
  std::string place() const override;
  std::string error() const override { return error_; }

 private:
  bool show(size_t index);
  bool jump_to_time(int64_t seconds);

  Recording& recording_;
  size_t index_ = 0;
  bool begun_ = false;
  std::string error_;
};

}  // namespace umemcg
