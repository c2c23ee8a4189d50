#include "base/check.h"

#include <cstdlib>

#include "base/text.h"

namespace umemcg {

void check_failed(const char* condition, const char* file, int line) {
  Line text;
  text.text(file).character(':').number(static_cast<uint64_t>(line));
  text.text(": check failed: ").text(condition);
  print_line(text);
  std::abort();
}

void warn(const char* message) {
  Line text;
  print_line(text.text("warning: ").text(message));
}

}  // namespace umemcg
