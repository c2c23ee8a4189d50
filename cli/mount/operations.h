// What the daemon answers, by operation. Each runs in a thread of the session's
// and answers its request once.
#pragma once

#include "cli/mount/fuse.h"

namespace umemcg::cgroupfs {

// directories.cc
void lookup(fuse_req_t request, fuse_ino_t parent, const char* name);
void forget(fuse_req_t request, fuse_ino_t number, uint64_t count);
void forget_many(fuse_req_t request, size_t count, fuse_forget_data* all);
void get_attributes(fuse_req_t request, fuse_ino_t number, fuse_file_info*);
void set_attributes(fuse_req_t request, fuse_ino_t number, struct stat* wanted,
                    int which, fuse_file_info*);
void open_directory(fuse_req_t request, fuse_ino_t number, fuse_file_info*);
void read_directory(fuse_req_t request, fuse_ino_t number, size_t size,
                    off_t offset, fuse_file_info*);
void close_directory(fuse_req_t request, fuse_ino_t, fuse_file_info*);
void make_directory(fuse_req_t request, fuse_ino_t parent, const char* name,
                    mode_t);
void remove_directory(fuse_req_t request, fuse_ino_t parent, const char* name);

// files.cc
void open_file(fuse_req_t request, fuse_ino_t number, fuse_file_info* info);
void read_file(fuse_req_t request, fuse_ino_t, size_t size, off_t offset,
               fuse_file_info* info);
void write_file(fuse_req_t request, fuse_ino_t, const char* data, size_t size,
                off_t, fuse_file_info* info);
void poll_file(fuse_req_t request, fuse_ino_t, fuse_file_info* info,
               fuse_pollhandle* handle);
void close_file(fuse_req_t request, fuse_ino_t, fuse_file_info* info);

}  // namespace umemcg::cgroupfs
