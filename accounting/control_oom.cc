#include <cerrno>

#include "accounting/control_rows.h"
#include "accounting/oom_policy.h"
#include "accounting/parse_number.h"

namespace umemcg::control {

void show_oom_group(Segment& segment, uint32_t group, TextBuffer& out) {
  const Group& row = *segment.group(group);
  const bool on = row.oom_group.load(std::memory_order_relaxed) != 0;
  out.text(on ? "1\n" : "0\n");
}

int store_oom_group(Segment& segment, uint32_t group, const char* value,
                    const Writer&) {
  bool on;
  if (parse_switch(value, &on) != 0) return EINVAL;
  segment.group(group)->oom_group.store(on, std::memory_order_relaxed);
  return 0;
}

void show_oom_policy(Segment& segment, uint32_t group, TextBuffer& out) {
  print_oom_policy(*segment.group(group), out);
  out.character('\n');
}

int store_oom_policy(Segment& segment, uint32_t group, const char* value,
                     const Writer&) {
  return set_oom_policy(*segment.group(group), value);
}

}  // namespace umemcg::control
