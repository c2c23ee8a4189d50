// The control files: tables of name, show and store, the only place where a
// file is defined; one by the names of cgroup v2 and one by those of v1, over
// the same state. umemcg_get and umemcg_set, the command line, the reports and
// a mounted tree read them.
//
// Every group has every file (the root too, whose limits cannot be written),
// but for memory.* where the parent does not hand the memory controller on, and
// memory.pressure where it is switched off (cgroup.pressure).
//
// What needs an open file (cgroup.event_control, triggers written to
// memory.pressure, a memory.peak of one's own) is the mounted tree's to do
// before it asks here: here it is EOPNOTSUPP, or anew for all.
#pragma once

#include <atomic>
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

enum class Hierarchy : uint8_t { kV2, kV1 };

// On whose behalf a file is written.
struct Writer {
  int32_t pid = 0;           // whom "0" stands for; 0: the calling process
  bool nonblocking = false;  // O_NONBLOCK: memory.high and max do not reclaim
  // Set by others when a signal has reached the writer, null: never. What
  // reclaims ends soon then: a limit that is set by then stays, the rest says
  // EINTR.
  const std::atomic<bool>* interrupted = nullptr;
  uint64_t group_id = 0;  // of the group that is meant; 0: who has the row
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
  int (*set)(Segment& segment, uint32_t group, const char* value,
             const Writer& writer);
  // For people: what may be written ("0 or 1"), null if nothing may; and what
  // the file is, in a line.
  const char* takes;
  const char* about;

  // As write(2) to the file: strips blanks around the value, and one NUL after
  // it. 0 or an error number: EINVAL (a bad value, a file that cannot be
  // written, or a limit of the root), ENODEV (the group is not online), EBUSY
  // (usage is above the limit, or a child hands the controller on), ENOENT
  // (no such controller or group), ESRCH (no such process), EAGAIN (a lock
  // could not be had, or less was reclaimed), EINTR, ERANGE, EOPNOTSUPP (it
  // needs an open file, or a thread to be moved).
  int store(Segment& segment, uint32_t group, const char* value, size_t length,
            const Writer& writer = {}) const;
  // 0644, 0444 or 0200. (What can be neither read nor written can be opened,
  // to be named in cgroup.event_control.)
  unsigned mode() const {
    if (set == nullptr) return 0444;
    return show != nullptr ? 0644 : 0200;
  }
};

// All rows by the names of one version; ends with a row whose name is null.
const ControlFile* control_files(Hierarchy hierarchy);

// The row of that name, or null. Without a version: that of v2, else of v1.
const ControlFile* find_control_file(const char* name, Hierarchy hierarchy);
const ControlFile* find_control_file(const char* name);

// Whether the group has the file.
bool has_control_file(Segment& segment, uint32_t group,
                      const ControlFile& file);

// Largest content of any control file but the lists (kLines), its NUL included.
inline constexpr size_t kControlFileSize = 4096;

}  // namespace umemcg
