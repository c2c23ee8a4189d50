// The tree of groups in a segment: struct mem_cgroup. Groups are named by
// index here and by path ("/a/b", the root is "/") to people.
//
// Lookups are lock-free; create_group takes the segment's lock itself.
#pragma once

#include <cstddef>
#include <cstdint>

#include "accounting/segment.h"
#include "base/text.h"

namespace umemcg {

// 0 if `name` can name a group (1 to 255 bytes, no '/' or newline, not "." or
// ".."), else an error number.
int check_group_name(const char* name, size_t length);

// 0 if `path` ("/a/b" or "a/b") can be the path of a group, else an error
// number: EINVAL (a bad name), ENOSPC (too deep).
int check_group_path(const char* path);

// The child of `parent` with that name, or kNone.
uint32_t find_child(Segment& segment, uint32_t parent, const char* name,
                    size_t length);

// The group at `path` ("/a/b" or "a/b"), or kNone.
uint32_t find_group(Segment& segment, const char* path);

// Makes the group at `path` and the groups above it that are missing, or finds
// it; its index in *group. 0 or an error number: EINVAL (a bad name), ENOSPC
// (the table is full or the path too deep), EBUSY (the lock could not be had).
int create_group(Segment& segment, const char* path, uint32_t* group);

// Writes the path of a group.
void group_path(Segment& segment, uint32_t group, TextBuffer& out);

// The parent's index, or kNone (root, or a damaged segment).
uint32_t parent_group(Segment& segment, uint32_t group);

// Whether `group` is `root` or below it.
bool in_subtree(Segment& segment, uint32_t group, uint32_t root);

// The default reserve of a limit, in pages: 1 %, at least 64 KiB, at most
// 256 KiB.
int64_t default_reserve(int64_t max_pages);

}  // namespace umemcg
