#include "cli/colour.h"

#include <unistd.h>

#include <cstdlib>
#include <cstring>

namespace umemcg {
namespace {

// Percent of the limit.
constexpr int64_t kNear = 80;
constexpr int64_t kFull = 95;

const char* escape_of(Tone tone) {
  switch (tone) {
    case Tone::kHeading:
      return "\033[1m";
    case Tone::kFaint:
      return "\033[2m";
    case Tone::kWarning:
      return "\033[33m";
    case Tone::kAlarm:
      return "\033[31m";
    default:
      return "";
  }
}

}  // namespace

bool colours_wanted(int fd) {
  const char* no = std::getenv("NO_COLOR");
  const char* terminal = std::getenv("TERM");
  return (no == nullptr || *no == '\0') && terminal != nullptr &&
         std::strcmp(terminal, "dumb") != 0 && ::isatty(fd) == 1;
}

std::string painted(Tone tone, const std::string& text) {
  static const bool wanted = colours_wanted(STDOUT_FILENO);
  if (!wanted || tone == Tone::kPlain || text.empty()) return text;
  return escape_of(tone) + text + "\033[0m";
}

Tone tone_of_usage(int64_t usage, int64_t limit) {
  if (limit == INT64_MAX || limit <= 0) return Tone::kPlain;
  // (In this order: usage may be large.)
  if (usage >= limit / 100 * kFull) return Tone::kAlarm;
  return usage >= limit / 100 * kNear ? Tone::kWarning : Tone::kPlain;
}

Tone tone_of_count(uint64_t count) {
  return count == 0 ? Tone::kFaint : Tone::kWarning;
}

}  // namespace umemcg
