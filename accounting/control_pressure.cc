// memory.pressure and cgroup.pressure.

#include <cerrno>

#include "accounting/control_rows.h"
#include "accounting/parse_number.h"
#include "accounting/psi.h"
#include "accounting/psi_trigger.h"
#include "base/sys.h"

namespace umemcg::control {

void show_pressure(Segment& segment, uint32_t group, TextBuffer& out) {
  psi_update(segment, group, sys::monotonic_ns());
  psi_show(segment.group(group)->psi, out);
}

// A trigger lasts as long as an open file.
int store_pressure(Segment&, uint32_t, const char* value, const Writer&) {
  PsiState state;
  uint32_t threshold_us, window_us;
  const int error = parse_psi_trigger(value, &state, &threshold_us, &window_us);
  return error != 0 ? error : EOPNOTSUPP;
}

void show_pressure_switch(Segment& segment, uint32_t group, TextBuffer& out) {
  out.number(psi_enabled(segment, group)).character('\n');
}

int store_pressure_switch(Segment& segment, uint32_t group, const char* value,
                          const Writer&) {
  bool on;
  const int error = parse_switch(value, &on);
  if (error == 0) psi_set_enabled(segment, group, on);
  return error;
}

}  // namespace umemcg::control
