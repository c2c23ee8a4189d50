// The functions of umemcg.h in the stub library: one jump each. They are hidden
// in the program or library that links them, so that those of libumemcg.so stay
// visible to everybody else.

#include "shim/stub/table.h"

using umemcg::stub::table;

extern "C" {

umemcg_group* umemcg_group_open(const char* path, int flags) {
  return table().group_open(path, flags);
}
void umemcg_group_close(umemcg_group* group) { table().group_close(group); }
int umemcg_group_remove(const char* path) { return table().group_remove(path); }
const char* umemcg_group_path(umemcg_group* group, char* buf, size_t size) {
  return table().group_path(group, buf, size);
}
uint64_t umemcg_group_ino(umemcg_group* group) {
  return table().group_ino(group);
}

int umemcg_set(umemcg_group* group, const char* file, const char* value) {
  return table().set(group, file, value);
}
ssize_t umemcg_get(umemcg_group* group, const char* file, char* buf,
                   size_t size) {
  return table().get(group, file, buf, size);
}

int umemcg_thread_set(umemcg_group* group, umemcg_group** previous) {
  return table().thread_set(group, previous);
}
umemcg_group* umemcg_thread_get(void) { return table().thread_get(); }
int umemcg_thread_flags(int flags) { return table().thread_flags(flags); }
int umemcg_active_begin(umemcg_group* group, umemcg_group** before) {
  return table().active_begin(group, before);
}
void umemcg_active_end(umemcg_group* before) { table().active_end(before); }

void* umemcg_malloc(umemcg_group* group, size_t size) {
  return table().malloc_in(group, size);
}
void* umemcg_calloc(umemcg_group* group, size_t count, size_t size) {
  return table().calloc_in(group, count, size);
}
void* umemcg_realloc(umemcg_group* group, void* block, size_t size) {
  return table().realloc_in(group, block, size);
}
void* umemcg_aligned_alloc(umemcg_group* group, size_t alignment, size_t size) {
  return table().aligned_alloc_in(group, alignment, size);
}
void umemcg_free(void* block) { table().release(block); }
umemcg_group* umemcg_owner(const void* block) { return table().owner(block); }
uint64_t umemcg_owner_ino(const void* address) {
  return table().owner_ino(address);
}

int umemcg_charge(umemcg_group* group, int kind, size_t bytes, int flags) {
  return table().charge(group, kind, bytes, flags);
}
void umemcg_uncharge(umemcg_group* group, int kind, size_t bytes) {
  table().uncharge(group, kind, bytes);
}

}  // extern "C"
