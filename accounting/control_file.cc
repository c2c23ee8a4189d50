#include "accounting/control_file.h"

#include <cerrno>
#include <cstring>

#include "accounting/control_rows.h"
#include "accounting/mem_cgroup.h"
#include "accounting/memory_stat.h"
#include "accounting/psi.h"

namespace umemcg {
namespace {

// Longer than any value that makes sense.
constexpr size_t kValueSize = 256;

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\v' ||
         c == '\f';
}

// Copies the value into `out`, blanks around it and one NUL after it left off.
bool strip(const char* value, size_t length, char (&out)[kValueSize]) {
  if (length > 0 && value[length - 1] == '\0') --length;
  while (length > 0 && is_blank(value[length - 1])) --length;
  while (length > 0 && is_blank(*value)) ++value, --length;
  if (length >= kValueSize || std::memchr(value, '\0', length) != nullptr) {
    return false;
  }
  std::memcpy(out, value, length);
  out[length] = '\0';
  return true;
}

bool is_memory_file(const char* name) {
  return std::strncmp(name, "memory.", std::strlen("memory.")) == 0;
}

}  // namespace

namespace control {

bool is_meant(Segment& segment, uint32_t group, const Writer& writer) {
  return group_id(segment, group) == writer.group_id;
}

int why_to_stop(Segment& segment, uint32_t group, const Writer& writer) {
  // relaxed: the flag alone counts; pairs with whoever hears of the signal.
  if (writer.interrupted != nullptr &&
      writer.interrupted->load(std::memory_order_relaxed)) {
    return EINTR;
  }
  return is_meant(segment, group, writer) ? 0 : ENODEV;
}

}  // namespace control

using control::is_meant;

const ControlFile* control_files(Hierarchy hierarchy) {
  return hierarchy == Hierarchy::kV1 ? control::kFilesV1 : control::kFilesV2;
}

const ControlFile* find_control_file(const char* name, Hierarchy hierarchy) {
  const ControlFile* file = control_files(hierarchy);
  for (; file->name != nullptr; ++file) {
    if (std::strcmp(file->name, name) == 0) return file;
  }
  return nullptr;
}

const ControlFile* find_control_file(const char* name) {
  const ControlFile* file = find_control_file(name, Hierarchy::kV2);
  return file != nullptr ? file : find_control_file(name, Hierarchy::kV1);
}

bool has_control_file(Segment& segment, uint32_t group,
                      const ControlFile& file) {
  if (file.show == control::show_numa_stat ||
      file.show == control::show_numa_stat_v1) {
    if (!one_memory_node()) return false;
  }
  if (file.show == control::show_release_agent) return group == kRootGroup;
  // Not the memory controller's, whatever its name.
  if (file.show == control::show_pressure) return psi_enabled(segment, group);
  return !is_memory_file(file.name) ||
         has_controller(segment, group, kControllerMemory);
}

int ControlFile::store(Segment& segment, uint32_t group, const char* value,
                       size_t length, const Writer& writer) const {
  Writer meant = writer;
  if (meant.group_id == 0) meant.group_id = group_id(segment, group);
  if (!group_online(segment, group) || !is_meant(segment, group, meant)) {
    return ENODEV;
  }
  char stripped[kValueSize];
  if (set == nullptr || (limits && group == kRootGroup) || length == 0 ||
      !strip(value, length, stripped)) {
    return EINVAL;
  }
  return set(segment, group, stripped, meant);
}

}  // namespace umemcg
