// The tree of groups in a segment: struct mem_cgroup. Groups are named by
// index here and by path ("/a/b", the root is "/") to people.
//
// A group is online from create_group() to remove_group(). Then it is offline:
// nobody finds it, its charges pass to its parent as processes notice
// (account.h), and its row is used again when nothing refers to it.
//
// Lookups are lock-free (a name that is not found is looked up again under the
// lock); what changes the tree takes the segment's lock itself.
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
// (the table is full or the path too deep), EAGAIN (an ancestor's
// cgroup.max.depth or cgroup.max.descendants), EBUSY (the lock could not be
// had). *made (may be null) says whether it was made now.
int create_group(Segment& segment, const char* path, uint32_t* group,
                 bool* made = nullptr);

// Makes a child of `parent`, which had that id when it was looked up. The same
// errors, EEXIST (there is one of that name), and ENOENT (the parent is gone).
int create_child(Segment& segment, uint32_t parent, uint64_t parent_id,
                 const char* name, size_t length, uint32_t* group);

// The group is one process's own: it is removed when that has been reaped and
// nothing else is inside.
void make_transient(Segment& segment, uint32_t group);
// REQUIRES: the segment's lock.
void remove_if_deserted(Segment& segment, uint32_t group);

// Takes the group offline. 0 or an error number: EBUSY (a live process, a
// thread that was put into it, or a child group is inside; or the root),
// ENOENT (it is not online), EAGAIN (the lock could not be had).
int remove_group(Segment& segment, uint32_t group);

// The same for the group that had that id when it was looked up.
int remove_group(Segment& segment, uint32_t group, uint64_t id);

// The same for the group that is at `path` then (ENOENT: none).
int remove_group_at(Segment& segment, const char* path);

// Frees the rows of offline groups to which nothing refers any more. How many.
// Takes the lock.
uint32_t release_groups(Segment& segment);

bool group_online(Segment& segment, uint32_t group);
// 0 if there is no such row, or it is free.
uint64_t group_id(Segment& segment, uint32_t group);

// The next online group after `group` (kNone: the first), by index; kNone at
// the end. For listings: one that is made or removed meanwhile may be missed.
uint32_t next_group(Segment& segment, uint32_t group);

// Writes the path of a group.
void group_path(Segment& segment, uint32_t group, TextBuffer& out);

// The parent's index, or kNone (root, or a damaged segment).
uint32_t parent_group(Segment& segment, uint32_t group);

// Whether `group` is `root` or below it.
bool in_subtree(Segment& segment, uint32_t group, uint32_t root);

// Where charges for `group` go: itself, or the nearest ancestor that is online
// and has the memory controller (its parent's subtree_control names it).
uint32_t charged_group(Segment& segment, uint32_t group);

// Whether the group's parent hands it that controller, and has it itself (the
// root has all).
bool has_controller(Segment& segment, uint32_t group, uint32_t controller);

// Switches controllers for the children of `group`: those in `on`, then those
// in `off`. 0 or an error number: ENOENT (the group itself has not got it),
// EBUSY (a child hands it on).
int set_subtree_control(Segment& segment, uint32_t group, uint32_t on,
                        uint32_t off);

// The default reserve of a limit, in pages: 1 %, at least 64 KiB, at most
// 256 KiB.
int64_t default_reserve(int64_t max_pages);

}  // namespace umemcg
