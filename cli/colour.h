// Colour, for people: only on a terminal, and not if $NO_COLOR says no. What
// is told by a colour is told by a word or a number as well.
#pragma once

#include <cstdint>
#include <string>

namespace umemcg {

enum class Tone {
  kPlain,
  kHeading,
  kFaint,
  kWarning,  // has happened, or is near
  kAlarm,    // is at the limit
};

// Whether what is written to that descriptor may have colours.
bool colours_wanted(int fd);

// The text, as it is, in that tone if stdout may have colours.
std::string painted(Tone tone, const std::string& text);

// How near `usage` is to a limit.
Tone tone_of_usage(int64_t usage, int64_t limit);
// Of a count that is 0 while all is well.
Tone tone_of_count(uint64_t count);

}  // namespace umemcg
