/* A plain C program with the stub library: every function, with libumemcg.so
 * preloaded (argument "with") and without it ("without"). */

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <umemcg/umemcg.h>
#include <unistd.h>

static int failures = 0;

static void check_at(bool held, const char* text, int line) {
  if (held) return;
  ++failures;
  printf("line %d: %s\n", line, text);
}
#define CHECK(condition) check_at((condition), #condition, __LINE__)
/* The call fails with that errno. */
#define FAILS(call, error) \
  (errno = 0, CHECK(call), check_at(errno == (error), #call, __LINE__))

static void check_memory(umemcg_group* group) {
  char* block = umemcg_malloc(group, 1000);
  CHECK(block != NULL);
  memset(block, 7, 1000);
  block = umemcg_realloc(group, block, 100000);
  CHECK(block != NULL && block[999] == 7);
  umemcg_free(block);
  block = umemcg_calloc(group, 100, 10);
  CHECK(block != NULL && block[0] == 0 && block[999] == 0);
  free(block);
  block = umemcg_aligned_alloc(group, 4096, 100);
  CHECK(block != NULL && (uintptr_t)block % 4096 == 0);
  umemcg_free(block);
  FAILS(umemcg_aligned_alloc(group, 3, 100) == NULL, EINVAL);
  FAILS(umemcg_calloc(group, SIZE_MAX / 2, 4) == NULL, ENOMEM);
  umemcg_free(NULL);
}

static void check_without(void) {
  char text[32];
  umemcg_group* other = (umemcg_group*)text;
  FAILS(umemcg_group_open("/a", UMEMCG_CREATE) == NULL, ENOSYS);
  FAILS(umemcg_group_remove("/a") == -1, ENOSYS);
  FAILS(umemcg_group_path(NULL, text, sizeof(text)) == NULL, ENOSYS);
  FAILS(umemcg_group_ino(NULL) == 0, ENOSYS);
  FAILS(umemcg_set(NULL, "memory.max", "1G") == -1, ENOSYS);
  FAILS(umemcg_get(NULL, "memory.max", text, sizeof(text)) == -1, ENOSYS);
  FAILS(umemcg_thread_set(NULL, NULL) == -1, ENOSYS);
  FAILS(umemcg_thread_set(NULL, &other) == -1, ENOSYS);
  CHECK(other == NULL);
  other = (umemcg_group*)text;
  FAILS(umemcg_thread_get() == NULL, ENOSYS);
  FAILS(umemcg_thread_flags(0) == -1, ENOSYS);
  FAILS(umemcg_active_begin(NULL, &other) == -1, ENOSYS);
  FAILS(umemcg_active_begin(NULL, NULL) == -1, ENOSYS);
  CHECK(other == NULL);
  FAILS(umemcg_owner(text) == NULL, ENOSYS);
  FAILS(umemcg_owner_ino(text) == 0, ENOSYS);
  FAILS(umemcg_charge(NULL, UMEMCG_KMEM, 1, 0) == -1, ENOSYS);
  FAILS(umemcg_shrinker_register(NULL, NULL) == -1, ENOSYS);
  FAILS(umemcg_shrinker_unregister(256) == -1, ENOSYS);
  FAILS(umemcg_shrinker_read(256, NULL) == -1, ENOSYS);
  FAILS(umemcg_oom_callback(NULL, NULL) == -1, ENOSYS);
  FAILS(umemcg_events_wait(NULL, NULL, 0) == -1, ENOSYS);
  FAILS(umemcg_threshold_fd(NULL, 4096) == -1, ENOSYS);
  FAILS(umemcg_pressure_fd(NULL, UMEMCG_PRESSURE_LOW, UMEMCG_PRESSURE_LOCAL) ==
            -1,
        ENOSYS);
  FAILS(umemcg_psi_fd(NULL, 0, 1000, 1000000) == -1, ENOSYS);
  FAILS(umemcg_unlisten(0) == -1, ENOSYS);
  FAILS(umemcg_peak_open(NULL) == -1, ENOSYS);
  FAILS(umemcg_peak_read(0) == -1, ENOSYS);
  FAILS(umemcg_peak_reset(0) == -1, ENOSYS);
  FAILS(umemcg_peak_close(0) == -1, ENOSYS);
  umemcg_active_end(other);
  umemcg_uncharge(NULL, UMEMCG_KMEM, 1);
  umemcg_group_close(NULL);
  check_memory(NULL);
}

static size_t count_none(umemcg_group* group, void* arg) {
  (void)group, (void)arg;
  return 0;
}

static size_t scan_none(umemcg_group* group, size_t bytes, void* arg) {
  (void)group, (void)bytes, (void)arg;
  return UMEMCG_SHRINK_STOP;
}

static void check_told(umemcg_group* group) {
  uint64_t seen = 0;
  const int fds[] = {
      umemcg_threshold_fd(group, 4096),
      umemcg_pressure_fd(group, UMEMCG_PRESSURE_LOW, UMEMCG_PRESSURE_DEFAULT),
      umemcg_psi_fd(group, 1, 1000, 1000000)};
  const int peak = umemcg_peak_open(group);
  CHECK(umemcg_events_wait(group, &seen, 0) == 0 && seen != 0);
  for (int i = 0; i < 3; ++i) {
    CHECK(fds[i] >= 0 && umemcg_unlisten(fds[i]) == 0 && close(fds[i]) == 0);
  }
  CHECK(peak >= 0 && umemcg_peak_reset(peak) == 0);
  CHECK(umemcg_peak_read(peak) >= 0 && umemcg_peak_close(peak) == 0);
}

static void check_shrinker(umemcg_group* group) {
  const umemcg_shrinker none = {.size = sizeof(none),
                                .count = count_none,
                                .scan = scan_none,
                                .name = "none"};
  umemcg_shrinker_stats stats = {.size = sizeof(stats)};
  const int id = umemcg_shrinker_register(group, &none);
  CHECK(id > 0);
  CHECK(umemcg_shrinker_read(id, &stats) == 0 && stats.counts == 0);
  CHECK(umemcg_shrinker_unregister(id) == 0);
}

static void check_with(void) {
  char text[64];
  umemcg_group *group, *before = NULL;
  void* block;
  group = umemcg_group_open("/stub/a", UMEMCG_CREATE | UMEMCG_EXCL);
  CHECK(group != NULL);
  CHECK(umemcg_group_path(group, text, sizeof(text)) == text);
  CHECK(strcmp(text, "/stub/a") == 0);
  CHECK(umemcg_group_ino(group) != 0);
  CHECK(umemcg_set(group, "memory.max", "64M") == 0);
  CHECK(umemcg_get(group, "memory.max", text, sizeof(text)) == 9);
  CHECK(strcmp(text, "67108864\n") == 0);
  CHECK(umemcg_thread_set(group, &before) == 0 && before == NULL);
  CHECK(umemcg_thread_get() == group);
  block = malloc(1 << 20); /* the preloaded one */
  CHECK(umemcg_owner(block) == group);
  CHECK(umemcg_owner_ino(block) == umemcg_group_ino(group));
  free(block);
  CHECK(umemcg_thread_set(NULL, NULL) == 0);
  CHECK(umemcg_thread_flags(UMEMCG_NOWAIT) == 0);
  CHECK(umemcg_thread_flags(0) == UMEMCG_NOWAIT);
  CHECK(umemcg_active_begin(group, &before) == 0);
  block = malloc(1 << 20);
  umemcg_active_end(before);
  CHECK(umemcg_owner(block) == group);
  free(block);
  CHECK(umemcg_charge(group, UMEMCG_KMEM, 1 << 20, 0) == 0);
  umemcg_uncharge(group, UMEMCG_KMEM, 1 << 20);
  check_shrinker(group);
  check_told(group);
  check_memory(group);
  check_memory(NULL);
  umemcg_group_close(group);
  CHECK(umemcg_group_remove("/stub/a") == 0);
}

int main(int argc, char** argv) {
  if (argc == 2 && strcmp(argv[1], "with") == 0) {
    check_with();
  } else {
    check_without();
  }
  return failures == 0 ? 0 : 1;
}
