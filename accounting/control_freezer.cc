// cgroup.freeze and cgroup.kill.

#include "accounting/control_rows.h"
#include "accounting/freezer.h"
#include "accounting/kill_group.h"
#include "accounting/parse_number.h"

#include <cerrno>

namespace umemcg::control {

void show_freeze(Segment& segment, uint32_t group, TextBuffer& out) {
  const Group& row = *segment.group(group);
  const bool on = row.freeze.load(std::memory_order_relaxed) == kFrozen;
  out.number(on).character('\n');
}

int store_freeze(Segment& segment, uint32_t group, const char* value,
                 const Writer& writer) {
  bool on;
  const int error = parse_switch(value, &on);
  if (error != 0) return error;
  return set_frozen(segment, group, on, writer.group_id);
}

int store_kill(Segment& segment, uint32_t group, const char* value,
               const Writer& writer) {
  bool on;
  const int error = parse_switch(value, &on);
  if (error != 0) return error;
  return on ? kill_group(segment, group, writer) : ERANGE;
}

}  // namespace umemcg::control
