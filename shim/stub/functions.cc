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

int umemcg_shrinker_register(umemcg_group* group,
                             const umemcg_shrinker* shrinker) {
  return table().shrinker_register(group, shrinker);
}
int umemcg_shrinker_unregister(int id) {
  return table().shrinker_unregister(id);
}
int umemcg_shrinker_read(int id, umemcg_shrinker_stats* stats) {
  return table().shrinker_read(id, stats);
}

int umemcg_events_wait(umemcg_group* group, uint64_t* seen, int timeout_ms) {
  return table().events_wait(group, seen, timeout_ms);
}
int umemcg_threshold_fd(umemcg_group* group, size_t bytes) {
  return table().threshold_fd(group, bytes);
}
int umemcg_pressure_fd(umemcg_group* group, int level, int mode) {
  return table().pressure_fd(group, level, mode);
}
int umemcg_psi_fd(umemcg_group* group, int full, unsigned stall_us,
                  unsigned window_us) {
  return table().psi_fd(group, full, stall_us, window_us);
}
int umemcg_unlisten(int fd) { return table().unlisten(fd); }
int umemcg_peak_open(umemcg_group* group) { return table().peak_open(group); }
int64_t umemcg_peak_read(int peak) { return table().peak_read(peak); }
int umemcg_peak_reset(int peak) { return table().peak_reset(peak); }
int umemcg_peak_close(int peak) { return table().peak_close(peak); }

int umemcg_oom_callback(int (*callback)(umemcg_group*, size_t, void*),
                        void* arg) {
  return table().oom_callback(callback, arg);
}

}  // extern "C"
