// Where domains live, and joining one.
#pragma once

#include <cstddef>
#include <cstdint>

#include "accounting/segment.h"
#include "base/text.h"

namespace umemcg {

// Writes the path of a domain's file: `name` itself if it holds a '/', else
// that name in the user's directory, /dev/shm/umemcg-<uid>.
void domain_path(const char* name, TextBuffer& out);

// Makes the user's directory (mode 0700) if it is missing; 0 or an error
// number (EACCES: it is there, but is not ours or others may write to it).
int make_domain_directory();

// Maps the domain, and makes it if there is none yet. 0, or an error number
// with *why saying what is wrong.
int join_domain(Segment& segment, const char* name, const char** why);

}  // namespace umemcg
