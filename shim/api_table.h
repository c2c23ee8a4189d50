// All that libumemcg.so offers, in one table: what finds it at run time (the
// stub library in shim/stub/, operator new in shim/new_link/) looks up a single
// name, which no other definition of the functions can get in front of.
//
// Both sides may be of different versions of umemcg: entries are only ever
// added at the end, and `size` says how many there are.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "include/umemcg/umemcg.h"

namespace umemcg {

struct ApiTable {
  size_t size;  // of the table, in bytes

  // Of the allocator itself, whoever defines malloc: whole, aligned (any power
  // of two), and back.
  void* (*allocate)(size_t size);
  void* (*allocate_aligned)(size_t alignment, size_t size);
  void (*release)(void* block);

  umemcg_group* (*group_open)(const char*, int);
  void (*group_close)(umemcg_group*);
  int (*group_remove)(const char*);
  const char* (*group_path)(umemcg_group*, char*, size_t);
  uint64_t (*group_ino)(umemcg_group*);
  int (*set)(umemcg_group*, const char*, const char*);
  ssize_t (*get)(umemcg_group*, const char*, char*, size_t);
  int (*thread_set)(umemcg_group*, umemcg_group**);
  umemcg_group* (*thread_get)(void);
  int (*thread_flags)(int);
  int (*active_begin)(umemcg_group*, umemcg_group**);
  void (*active_end)(umemcg_group*);
  void* (*malloc_in)(umemcg_group*, size_t);
  void* (*calloc_in)(umemcg_group*, size_t, size_t);
  void* (*realloc_in)(umemcg_group*, void*, size_t);
  void* (*aligned_alloc_in)(umemcg_group*, size_t, size_t);
  umemcg_group* (*owner)(const void*);
  uint64_t (*owner_ino)(const void*);
  int (*charge)(umemcg_group*, int, size_t, int);
  void (*uncharge)(umemcg_group*, int, size_t);
  int (*shrinker_register)(umemcg_group*, const umemcg_shrinker*);
  int (*shrinker_unregister)(int);
  int (*shrinker_read)(int, umemcg_shrinker_stats*);
  int (*events_wait)(umemcg_group*, uint64_t*, int);
  int (*threshold_fd)(umemcg_group*, size_t);
  int (*pressure_fd)(umemcg_group*, int, int);
  int (*psi_fd)(umemcg_group*, int, unsigned, unsigned);
  int (*unlisten)(int);
  int (*peak_open)(umemcg_group*);
  int64_t (*peak_read)(int);
  int (*peak_reset)(int);
  int (*peak_close)(int);
  int (*oom_callback)(int (*)(umemcg_group*, size_t, void*), void*);
};

}  // namespace umemcg

extern "C" const umemcg::ApiTable umemcg_api_v1;
