#include "cli/top/feed.h"

#include <algorithm>
#include <cstdio>
#include <ctime>

#include "cli/command.h"

namespace umemcg {
namespace {

constexpr int64_t kDaySeconds = 24 * 3600;

// Local time.
int64_t second_of_day(const Sample& sample) {
  const time_t seconds = sample.wall_ms / 1000;
  tm local = {};
  ::localtime_r(&seconds, &local);
  return local.tm_hour * 3600 + local.tm_min * 60 + local.tm_sec;
}

// "17:50" or "17:50:11"; -1 if it is neither.
int64_t parse_time(const std::string& text) {
  int hour = 0, minute = 0, second = 0, end = 0;
  if (std::sscanf(text.c_str(), "%2d:%2d%n:%2d%n", &hour, &minute, &end,
                  &second, &end) < 2 ||
      static_cast<size_t>(end) != text.size()) {
    return -1;
  }
  return hour * 3600 + minute * 60 + second;
}

}  // namespace

bool LiveFeed::next() {
  if (domain_gone()) return false;
  has_before_ = begun_;
  before_ = std::move(now_);
  now_ = take_sample();
  begun_ = true;
  return true;
}

bool RecordedFeed::show(size_t index) {
  Sample now, before;
  error_ = recording_.read(index, &now);
  if (error_.empty() && index > 0) error_ = recording_.read(index - 1, &before);
  if (!error_.empty()) return false;
  now_ = std::move(now);
  before_ = std::move(before);
  has_before_ = index > 0;
  index_ = index;
  begun_ = true;
  return true;
}

bool RecordedFeed::next() {
  const size_t index = begun_ ? index_ + 1 : 0;
  return index < recording_.size() && show(index);
}

void RecordedFeed::move(int64_t by) {
  const auto last = static_cast<int64_t>(recording_.size()) - 1;
  show(static_cast<size_t>(
      std::clamp<int64_t>(static_cast<int64_t>(index_) + by, 0, last)));
}

// Samples are in the order of time, so halves are looked at; a day may end in
// between, so what counts is the time since the first.
bool RecordedFeed::jump_to_time(int64_t seconds) {
  Sample sample;
  error_ = recording_.read(0, &sample);
  if (!error_.empty()) return true;
  const int64_t wait =
      (seconds - second_of_day(sample) + kDaySeconds) % kDaySeconds;
  const int64_t wanted = sample.wall_ms / 1000 + wait;
  size_t low = 0, high = recording_.size() - 1;
  while (low < high && error_.empty()) {
    const size_t middle = low + (high - low) / 2;
    error_ = recording_.read(middle, &sample);
    if (sample.wall_ms / 1000 < wanted) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  if (error_.empty()) show(low);
  return true;
}

bool RecordedFeed::jump(const std::string& to) {
  if (to.find(':') != std::string::npos) {
    const int64_t seconds = parse_time(to);
    return seconds >= 0 && jump_to_time(seconds);
  }
  if (to.empty() || to.size() > 12 ||
      to.find_first_not_of("0123456789") != std::string::npos) {
    return false;
  }
  move(std::stoll(to) - 1 - static_cast<int64_t>(index_));
  return true;
}

std::string RecordedFeed::place() const {
  return "sample " + std::to_string(index_ + 1) + " of " +
         std::to_string(recording_.size());
}

}  // namespace umemcg
