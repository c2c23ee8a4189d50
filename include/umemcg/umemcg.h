/* umemcg: a memory cgroup in user space.
 *
 * All functions are exported by libumemcg.so. A program links -lumemcg, or is
 * started with LD_PRELOAD=libumemcg.so and finds them with dlsym or as weak
 * symbols. Thread safety: any function may be called from any thread.
 */
#ifndef UMEMCG_UMEMCG_H
#define UMEMCG_UMEMCG_H

#include <stddef.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct umemcg_group umemcg_group;

/* Reads a control file of a group ("memory.current", "memory.stat", ...) as
 * the file would read, its final newline included: bytes in decimal, "max" for
 * unlimited. group NULL is the group of the calling process.
 *
 * Returns the length of the content; what does not fit in `size` bytes is cut,
 * and the content is NUL-terminated if size > 0. -1 with errno set:
 *   ENOENT  no such control file
 *   ENODEV  the process is not accounted
 *   EINVAL  not a group
 */
ssize_t umemcg_get(umemcg_group* group, const char* file, char* buf,
                   size_t size);

#ifdef __cplusplus
}
#endif

#endif /* UMEMCG_UMEMCG_H */
