// Who has most of what is charged to a group: the groups right below it, and
// the processes that charge the group itself.
#pragma once

#include <cstdint>

#include "accounting/segment.h"
#include "base/text.h"

namespace umemcg {

struct Consumer {
  bool is_group;
  uint32_t index;  // of the group, or of the process's slot
  int64_t pages;
};

// The `most` largest, largest first; how many there are.
uint32_t top_consumers(Segment& segment, uint32_t group, Consumer* top,
                       uint32_t most);

// "python3 (123)"; a name that others write: what does not print is a "?".
void describe_process(Segment& segment, uint32_t process, TextBuffer& out);

// The three largest for a line of text: "/a/b 40.0 MiB, python3 (123) 12.0
// MiB"; "nobody" if there is none.
void describe_top(Segment& segment, uint32_t group, TextBuffer& out);

}  // namespace umemcg
