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

// The domain of commands that are not told another.
inline constexpr char kDefaultDomain[] = "default";

// Maps the domain. 0, or an error number with *why saying what is wrong
// (ENOENT: there is none).
int attach_domain(Segment& segment, const char* name, const char** why);

// The same, and makes it (with these sizes) if there is none yet.
int join_domain(Segment& segment, const char* name, const char** why,
                const SegmentSizes& sizes = SegmentSizes{});

// Sizes for a domain that holds that many groups beside the root.
SegmentSizes sizes_for_groups(uint32_t groups);
inline constexpr uint32_t kMostDomainGroups = 1'000'000;

}  // namespace umemcg
