// memory.pressure and cgroup.pressure.

#include <cerrno>
#include <cstdlib>

#include "accounting/control_rows.h"
#include "accounting/psi.h"
#include "base/errno_saver.h"
#include "base/sys.h"

namespace umemcg::control {

void show_pressure(Segment& segment, uint32_t group, TextBuffer& out) {
  psi_update(segment, group, sys::monotonic_ns());
  psi_show(segment.group(group)->psi, out);
}

void show_pressure_switch(Segment& segment, uint32_t group, TextBuffer& out) {
  out.number(psi_enabled(segment, group)).character('\n');
}

// As the kernel: what is no number is EINVAL, any but these two ERANGE.
int store_pressure_switch(Segment& segment, uint32_t group, const char* value) {
  ErrnoSaver saver;
  char* end;
  const long number = std::strtol(value, &end, 0);
  if (end == value || *end != '\0') return EINVAL;
  if (number < 0 || number > 1) return ERANGE;
  psi_set_enabled(segment, group, number != 0);
  return 0;
}

}  // namespace umemcg::control
