// The control files: one table of name, show and store, the only place where a
// file is defined. umemcg_get and umemcg_set, the command line and the reports
// read it.
//
// Every group has every file (the root too, whose limits cannot be written),
// but for memory.* where the parent does not hand the memory controller on, and
// memory.pressure where it is switched off (cgroup.pressure).
#pragma once

#include <cstddef>
#include <cstdint>

#include "accounting/segment.h"
#include "base/text.h"

namespace umemcg {

// How the content is built up.
enum class Format : uint8_t {
  kValue,   // one value, a number or a word
  kKeyed,   // lines of KEY VALUE
  kNested,  // lines of KEY SUB=VALUE SUB=VALUE ...
  kLines,   // a value a line, any number of them
  kWords,   // words in one line
};

struct ControlFile {
  const char* name;
  Format format;
  // Not for the root to write.
  bool limits;
  // Writes the whole content, with its final newline. Null: the file cannot be
  // read.
  void (*show)(Segment& segment, uint32_t group, TextBuffer& out);
  // Takes a value without blanks around it, NUL-terminated; 0 or an error
  // number. Null: the file cannot be written.
  int (*set)(Segment& segment, uint32_t group, const char* value);

  // As write(2) to the file: strips blanks around the value, and one NUL after
  // it. 0 or an error number: EINVAL (a bad value, a file that cannot be
  // written, or a limit of the root), ENODEV (the group is not online), EBUSY
  // (usage is above the limit, or a child hands the controller on), ENOENT
  // (no such controller or group), ESRCH (no such process), EAGAIN (a lock
  // could not be had), ERANGE.
  int store(Segment& segment, uint32_t group, const char* value,
            size_t length) const;
  // 0644, 0444 or 0200.
  unsigned mode() const {
    if (show == nullptr) return 0200;
    return set != nullptr ? 0644 : 0444;
  }
};

// The row of that name, or null.
const ControlFile* find_control_file(const char* name);

// Whether the group has the file.
bool has_control_file(Segment& segment, uint32_t group,
                      const ControlFile& file);

// All rows, for listings; ends with a row whose name is null.
extern const ControlFile kControlFiles[];

// Largest content of any control file but the lists (kLines), its NUL included.
inline constexpr size_t kControlFileSize = 4096;

}  // namespace umemcg
