// The control files: one table of name and show function, the only place where
// a file is defined. umemcg_get, the command line and the reports read it.
#pragma once

#include <cstdint>

#include "accounting/segment.h"
#include "base/text.h"

namespace umemcg {

struct ControlFile {
  const char* name;
  // Writes the whole content, with its final newline.
  void (*show)(Segment& segment, uint32_t group, TextBuffer& out);
};

// The row of that name, or null.
const ControlFile* find_control_file(const char* name);

// All rows, for listings; ends with a row whose name is null.
extern const ControlFile kControlFiles[];

// Largest content of any control file, its NUL included.
inline constexpr size_t kControlFileSize = 4096;

}  // namespace umemcg
