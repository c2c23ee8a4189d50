// Names of groups and processes are any bytes that somebody chose. What goes to
// a terminal, into JSON or into a label has to be text.
#pragma once

#include <string>

namespace umemcg {

// All of it fit for a terminal: control characters (those of C1 too) and bytes
// that are not UTF-8 as \xNN, and a backslash before an x as \x5c, so that no
// two texts become the same.
std::string printable(const std::string& bytes);

// The same, but for the ends of lines and tabs.
std::string printable_lines(const std::string& bytes);

// UTF-8: only what is not is replaced, in the same way. (JSON has an escape of
// its own for the rest.)
std::string utf8_text(const std::string& bytes);

}  // namespace umemcg
