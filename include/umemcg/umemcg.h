/* umemcg: a memory cgroup in user space.
 *
 * Three ways to these functions:
 *   -lumemcg          links libumemcg.so, whose malloc is then the program's
 *   -lumemcg_api      a small static library that finds libumemcg.so if it was
 *                     preloaded; without it every function fails with ENOSYS,
 *                     and those that allocate are malloc and its family
 *   -lumemcg_new      operator new and delete of a C++ program are umemcg's,
 *                     its malloc stays the C library's
 *
 * All functions may be called from any thread. None of them is a cancellation
 * point. Those that say so are async-signal-safe; the others may take locks
 * and must not be called from a signal handler. errno is kept on success.
 * Sizes are bytes; what is charged is pages of 4096 bytes.
 *
 * A process that is not accounted (UMEMCG_DISABLE=1, or after a line on stderr
 * that says so) gets ENODEV, and memory from malloc.
 */
#ifndef UMEMCG_UMEMCG_H
#define UMEMCG_UMEMCG_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Groups ------------------------------------------------------------------
 *
 * A handle of a group, struct mem_cgroup in Linux. It is a number rather than
 * an address: a handle that is no longer valid, or never was one, fails with
 * EBADF and does no other harm.
 *
 * umemcg_group_open gives a handle with a reference: it is valid until it is
 * closed, also after the group was removed. Other functions give *borrowed*
 * handles, without one: valid while the group is online, and as long after as
 * this process holds memory that was charged to it. Handles of one group are
 * equal, but for one from before a fork beside one from after it; both work in
 * the child. Handles mean nothing in other processes.
 *
 * Where NULL is taken for a group, it is the process's own, if nothing else is
 * said. When a group is removed, its charges pass to its parent. Through a
 * handle of it, one can still allocate, charge and uncharge (the nearest
 * ancestor that is online then has them); everything else fails. */
typedef struct umemcg_group umemcg_group;

enum {
  UMEMCG_CREATE = 1, /* make the group, and those above it, if missing */
  UMEMCG_EXCL = 2    /* with UMEMCG_CREATE: fail if it exists */
};

/* Opens the group at `path` ("/a/b", "a/b" is the same; "/" is the root of the
 * domain). Close it with umemcg_group_close. Follows mkdir in cgroupfs and
 * mem_cgroup_css_alloc.
 *
 * NULL with errno:
 *   ENOENT  no such group, and no UMEMCG_CREATE
 *   EEXIST  it exists, and UMEMCG_EXCL was given
 *   EINVAL  not a path of a group (a name is 1 to 255 bytes without '/' and
 *           newline, not "." or ".."), or unknown flags
 *   EAGAIN  an ancestor's cgroup.max.depth or cgroup.max.descendants
 *   ENOSPC  the domain's table of groups is full, or the path too deep (32)
 *   ENOMEM  the process's table of groups, or the domain's of ledgers, is full
 *   EBUSY   another process held the domain's lock for 2 s
 *   ENODEV  the process is not accounted */
umemcg_group* umemcg_group_open(const char* path, int flags);

/* Drops the handle's reference (css_put). Memory stays charged, and threads in
 * the group stay in it. NULL and handles without a reference are ignored. Close
 * as often as opened: handles of one group are equal, so one close too many
 * takes the reference of another open. */
void umemcg_group_close(umemcg_group* group);

/* Removes the group at `path`: rmdir in cgroupfs, mem_cgroup_css_offline. What
 * is charged to it is its parent's from then on; handles of it stay valid.
 *
 * 0, or -1 with errno:
 *   ENOENT  no such group
 *   EBUSY   a live process, a thread that was put into it, or a child group is
 *           inside; or it is the root
 *   EINVAL  not a path of a group
 *   EAGAIN  another process held the domain's lock for 2 s
 *   ENODEV  the process is not accounted */
int umemcg_group_remove(const char* path);

/* Writes the group's path and a NUL to `buf`, and returns `buf`. cgroup_path.
 *
 * NULL with errno:
 *   ERANGE  it does not fit in `size` bytes
 *   EINVAL  buf is NULL
 *   EBADF   not a handle
 *   ENODEV  the group was removed, or the process is not accounted */
const char* umemcg_group_path(umemcg_group* group, char* buf, size_t size);

/* A number that no other group of the domain ever has, cgroup_ino: compare it
 * with umemcg_owner_ino(), or two handles by it. It outlives the group.
 *
 * 0 with errno:
 *   EBADF   not a handle
 *   ENODEV  the process is not accounted */
uint64_t umemcg_group_ino(umemcg_group* group);

/* Control files -----------------------------------------------------------
 *
 * Named and with contents as in cgroup v2: "memory.max", "memory.current",
 * "memory.stat", "cgroup.procs" and so on. */

/* Writes a control file: cftype::write. `value` is what one would write to the
 * file ("512M", "max", "+memory"); blanks around it are ignored. A limit below
 * the usage is set, and free memory given back to meet it.
 *
 * 0, or -1 with errno:
 *   ENOENT  no such control file in this group
 *   EINVAL  not a value of that file, a file that cannot be written, a limit of
 *           the root, or NULL for file or value
 *   EBADF   not a handle
 *   ENODEV  the group was removed, or the process is not accounted
 * and what the file itself says:
 *   EBUSY   usage is above a limit of cgroup v1; a child group hands on the
 *           controller that is to be switched off
 *   ENOENT  cgroup.subtree_control: the parent does not hand that controller on
 *   ESRCH   cgroup.procs: no such process in the domain
 *   ERANGE  not a number that the file can have
 *   EAGAIN  another process held the domain's lock for 2 s (cgroup.procs,
 *           cgroup.subtree_control and memory.peak); memory.reclaim: less was
 *           reclaimed
 *   EBUSY   the same, for memory.min, memory.low and limits of cgroup v1 */
int umemcg_set(umemcg_group* group, const char* file, const char* value);

/* Reads a control file as the file would read, its final newline included:
 * seq_show. Bytes are in decimal, "max" is unlimited.
 *
 * Returns the length of the content; what does not fit in `size` bytes is cut,
 * and the content is NUL-terminated if size > 0. -1 with errno:
 *   ENOENT  no such control file in this group
 *   EINVAL  NULL for file, or for buf with a size, or a file that is only
 *           written
 *   EBADF   not a handle
 *   ENODEV  the group was removed, or the process is not accounted */
ssize_t umemcg_get(umemcg_group* group, const char* file, char* buf,
                   size_t size);

/* Threads -----------------------------------------------------------------
 *
 * What a thread allocates is charged, in this order, to: the group of the call
 * (umemcg_malloc), the scope it is in (umemcg_active_begin), the group it was
 * put into (umemcg_thread_set), the process's group. A thread made by
 * pthread_create starts in its creator's group. */

/* Puts the calling thread into the group: cgroup.threads. NULL: it follows the
 * process again. `previous` may be NULL; else it always gets what the thread
 * was in, a borrowed handle or NULL, to be given to a later call. That fails
 * with EBADF if the group was removed meanwhile and nothing is left of it: then
 * give NULL, or the thread stays where it is. A group that the thread has been
 * in before costs a few nanoseconds.
 *
 * 0, or -1 with errno:
 *   ESTALE  the group was removed; the thread is in its nearest online ancestor
 *           now
 *   ENOMEM  no memory for the thread's heap in the group; the thread stays
 *           where it was
 *   EBADF   not a handle; the thread stays where it was
 *   ENODEV  the process is not accounted */
int umemcg_thread_set(umemcg_group* group, umemcg_group** previous);

/* The group that the calling thread was put into, a borrowed handle; NULL if it
 * follows the process. Not the group of a scope. Async-signal-safe. */
umemcg_group* umemcg_thread_get(void);

/* How charges of the calling thread behave at a limit: __GFP flags in
 * try_charge_memcg. They hold for memory from malloc and for umemcg_charge.
 * 0, the default: reclaim, up to 16 fruitless rounds, then the group is out of
 * memory. */
enum {
  UMEMCG_NOWAIT = 1,        /* no reclaim and no sleep: fail at once */
  UMEMCG_NORETRY = 2,       /* one round of reclaim, one more after a drain */
  UMEMCG_RETRY_MAYFAIL = 4, /* all rounds, but no out-of-memory handling */
  UMEMCG_NOFAIL = 8         /* goes over the limit rather than fail; counted */
};

/* Sets them, and returns what they were; -1 with errno:
 *   EINVAL  unknown flags
 *   ENODEV  the process is not accounted
 * Async-signal-safe. */
int umemcg_thread_flags(int flags);

/* From here to umemcg_active_end, what the calling thread allocates is charged
 * to the group, whichever it was put into: set_active_memcg. Scopes nest. NULL:
 * as if there were no scope. *before gets what is to be given to
 * umemcg_active_end, also on failure, so that the two may be called in pairs
 * unconditionally; it is for this thread only. `before` may be NULL.
 *
 * Async-signal-safe, whatever the handler interrupted: a handler that has ended
 * its scopes leaves the interrupted allocation as it was. siglongjmp out of a
 * scope is fine if *before is given to umemcg_active_end after it.
 *
 * 0, or -1 with errno:
 *   EBADF   not a handle
 *   ENODEV  the process is not accounted */
int umemcg_active_begin(umemcg_group* group, umemcg_group** before);
void umemcg_active_end(umemcg_group* before);

/* Memory ------------------------------------------------------------------ */

/* malloc, calloc, realloc and aligned_alloc in the group's heap: kmalloc with
 * __GFP_ACCOUNT and an active memcg. NULL: no group of the call, as malloc. The
 * alignment is any power of two. umemcg_realloc moves the block if it is
 * another group's; on failure the old block is as it was.
 *
 * free() frees such a block where malloc is umemcg's (LD_PRELOAD, -lumemcg), or
 * libumemcg.so is not there at all; umemcg_free always does.
 *
 * NULL with errno:
 *   ENOMEM  as malloc, and at a limit of the group
 *   EINVAL  the alignment is not a power of two
 *   EBADF   not a handle */
void* umemcg_malloc(umemcg_group* group, size_t size);
void* umemcg_calloc(umemcg_group* group, size_t count, size_t size);
void* umemcg_realloc(umemcg_group* group, void* block, size_t size);
void* umemcg_aligned_alloc(umemcg_group* group, size_t alignment, size_t size);
void umemcg_free(void* block);

/* The group that is charged for the block's first page, a borrowed handle; NULL
 * if none is, or this process has no account with it any more. For a removed
 * group it is the nearest online ancestor. Racy as page_cgroup_ino: true of the
 * moment if the caller keeps the block from being freed. Lock-free and
 * async-signal-safe. */
umemcg_group* umemcg_owner(const void* block);

/* The same by number (umemcg_group_ino), for any address; 0 if no group is
 * charged for it. page_cgroup_ino. Lock-free and async-signal-safe. */
uint64_t umemcg_owner_ino(const void* address);

/* Objects -----------------------------------------------------------------
 *
 * What is not memory of the heap but should count: obj_cgroup_charge. */

enum {
  UMEMCG_HEAP = 0,  /* as heap memory */
  UMEMCG_MMAP = 1,  /* the program's own mappings */
  UMEMCG_SHMEM = 2, /* shared memory */
  UMEMCG_KMEM = 3,  /* memory of the system; has counters of its own as well */
  UMEMCG_SOCK = 4   /* buffers of sockets; the same */
};

/* Charges `bytes` of that kind to the group. Bytes below a page are added up,
 * so that many small objects are charged what they need together. `flags` are
 * UMEMCG_NOWAIT and so on, beside those of the thread. A kind that is not in
 * UMEMCG_ACCOUNT is not charged, and that is no error.
 *
 * Charge and uncharge through the same handle. NULL is the process's group of
 * the moment: after a move the process could not take back what it charged to
 * the group that it was in.
 *
 * 0, or -1 with errno:
 *   ENOMEM  at a limit, nothing is charged
 *   EINVAL  no such kind, unknown flags, or more than PTRDIFF_MAX bytes
 *   EBADF   not a handle
 *   ENODEV  the process is not accounted */
int umemcg_charge(umemcg_group* group, int kind, size_t bytes, int flags);

/* Takes back what umemcg_charge charged, in the same or other portions, from
 * any thread of the process: obj_cgroup_uncharge. The group may have been
 * removed meanwhile. In a domain, what was charged before a fork is the
 * parent's: the child does not take it back. errno is kept; what is not a
 * charge is ignored; so are pages beyond what this process has charged to the
 * group (of kmem, of sock, of the other kinds together), with one line on
 * stderr. */
void umemcg_uncharge(umemcg_group* group, int kind, size_t bytes);

/* Shrinkers ---------------------------------------------------------------
 *
 * Functions of the program that free its caches when a group has no room left:
 * struct shrinker in Linux. They come last, after everything that is free has
 * been given back, and before a charge fails. */

/* What scan returns if it cannot free anything now: SHRINK_STOP. */
#define UMEMCG_SHRINK_STOP ((size_t)-1)

/* Both functions are called with what was registered as `arg` and with the
 * group that is to be shrunk (a borrowed handle), on whichever thread has run
 * out of memory, in the middle of its malloc or umemcg_charge. Of one shrinker
 * one call at a time: a thread that finds it busy goes without it.
 *
 * They may call anything that the program may call there, so no lock that is
 * held around an allocation: try it, and return UMEMCG_SHRINK_STOP if it is
 * taken. They may allocate; what they allocate is charged to the group, from
 * its emergency reserve, beyond which it fails without calling a shrinker.
 * They may let other threads do the work and wait for them; register, and
 * unregister others; fork; and end the thread by pthread_exit. What they do to
 * the thread's group, scope and flags is undone when they return; cancellation
 * is held back while they run. They must not be left by longjmp or by an
 * exception. */
typedef struct umemcg_shrinker {
  size_t size; /* sizeof(umemcg_shrinker) */
  /* How many bytes could be freed of what is charged to the group, about; 0:
   * none. It is asked often and should be quick. */
  size_t (*count)(umemcg_group* group, void* arg);
  /* Frees about `bytes` (never more than count said), and returns how many it
   * freed. What counts in the end is the pages that are given back: blocks that
   * share a page with others free nothing. */
  size_t (*scan)(umemcg_group* group, size_t bytes, void* arg);
  void* arg;
  const char* name; /* for messages, copied (31 bytes); may be NULL */
  /* What it costs to make again what is freed: those with a lower cost are
   * asked first, those of the same cost in turn. */
  int cost;
  /* How long its calls for one allocation may take, count and scan, all of them
   * together; 0: 100 ms. One that takes longer is said to on stderr (once), and
   * not asked for 10 s, twice as long each time that it happens again in a row,
   * 640 s at most. (One that frees nothing is left alone before that: for the
   * rest of the allocation, once it took 10 ms.) */
  unsigned deadline_ms;
} umemcg_shrinker;

/* Registers a shrinker of `group`; NULL: of every group, which it is asked for
 * by and by as they need it. In the child of a fork it is registered as well.
 *
 * Its id, above 0, or -1 with errno:
 *   ENOSPC  256 are registered
 *   EINVAL  NULL, no count or scan, or a size that is not the struct's
 *   EBADF   not a handle
 *   ENODEV  the group was removed, or the process is not accounted */
int umemcg_shrinker_register(umemcg_group* group,
                             const umemcg_shrinker* shrinker);

/* Once it has returned 0, the shrinker is not running and never called again.
 * It waits for a call that is running, for as long as that takes: the shrinker
 * must not wait for something that the caller holds.
 *
 * 0, or -1 with errno; on failure it stays registered:
 *   EBADF    no such shrinker (any more)
 *   EDEADLK  from its own call; or from another's, for whose end its call waits
 *            in here
 *   ENODEV   the process is not accounted */
int umemcg_shrinker_unregister(int id);

/* What became of its calls, in this process. */
typedef struct umemcg_shrinker_stats {
  size_t size;         /* sizeof(umemcg_shrinker_stats), set by the caller */
  uint64_t counts;     /* calls of count */
  uint64_t scans;      /* calls of scan */
  uint64_t asked;      /* bytes that scan was asked for */
  uint64_t freed;      /* bytes that scan said it freed */
  uint64_t busy;       /* not asked, as another thread was in it */
  uint64_t overruns;   /* took longer than its deadline */
  uint64_t longest_ns; /* the longest call, count and scan together */
  uint64_t pause_ms;   /* not asked for that long from now on */
} umemcg_shrinker_stats;

/* 0, or -1 with errno:
 *   EBADF   no such shrinker
 *   EINVAL  NULL, or a size that is less than the struct's
 *   ENODEV  the process is not accounted */
int umemcg_shrinker_read(int id, umemcg_shrinker_stats* stats);

/* Being told --------------------------------------------------------------
 *
 * What happens in any process of the domain is told. Descriptors are eventfds
 * (close-on-exec, non-blocking): for poll and the like, and a read gives a
 * uint64_t, how much has happened since the last one, or fails with EAGAIN.
 * They are written to by a thread of umemcg's own, which is made with the first
 * of them and ends some time after the last; on an idle machine within 10 ms,
 * and once for what happens within a millisecond. When the group is removed the
 * descriptor is told once more, and then no longer.
 *
 * umemcg_unlisten comes before close: a descriptor that was only closed is
 * written to as before (to no other file), and takes its place until the same
 * number is given out again here. In the child of a fork nothing is told by
 * these functions any more; what the child reads from a descriptor that it
 * inherited is missing in its parent. */

/* Waits until memory.events or memory.events.local of the group may have
 * changed since *seen, which becomes what is the case now; negative: as long as
 * it takes. Begin with *seen = 0: the first call returns at once, so that no
 * event is missed by
 *
 *   for (uint64_t seen = 0; umemcg_events_wait(group, &seen, -1) == 0;)
 *     ... umemcg_get(group, "memory.events", ...) ...
 *
 * 0, or -1 with errno:
 *   ETIMEDOUT  nothing has happened for timeout_ms milliseconds
 *   EINTR      a signal handler ran
 *   EINVAL     seen is NULL
 *   EBADF      not a handle
 *   ENODEV     the group was removed (while waiting: within a second), or the
 *              process is not accounted */
int umemcg_events_wait(umemcg_group* group, uint64_t* seen, int timeout_ms);

/* Tells when usage has gone from below `bytes` (rounded down to pages) to it or
 * above, or back: memory.usage_in_bytes in cgroup.event_control. Usage is
 * looked at once per 128 pages that a thread has charged or uncharged, and four
 * times a second: one that comes back in between is not told.
 *
 * The functions below fail with these as well. -1 with errno:
 *   ENOSPC  1024 are open in the process
 *   EMFILE, ENFILE, ENOMEM  no more descriptors
 *   EAGAIN  no thread could be made
 *   EBADF   not a handle
 *   ENODEV  the group was removed, or the process is not accounted */
int umemcg_threshold_fd(umemcg_group* group, size_t bytes);

/* How hard reclaim has it, by windows of 512 pages that it has looked at:
 * enum vmpressure_levels. */
enum {
  UMEMCG_PRESSURE_LOW = 0,
  UMEMCG_PRESSURE_MEDIUM = 1,  /* of the pages 60 % could not be given back */
  UMEMCG_PRESSURE_CRITICAL = 2 /* 95 %, or it is about to give up */
};

/* Whom the windows of a group below are told: enum vmpressure_modes. */
enum {
  UMEMCG_PRESSURE_DEFAULT = 0,   /* unless somebody was told lower down */
  UMEMCG_PRESSURE_HIERARCHY = 1, /* always */
  UMEMCG_PRESSURE_LOCAL = 2      /* never */
};

/* Tells of each window of that level or a higher one, once: a read gives their
 * number. memory.pressure_level in cgroup.event_control. EINVAL: no such level
 * or mode. */
int umemcg_pressure_fd(umemcg_group* group, int level, int mode);

/* Tells when some threads of the group (`full`: all that could run) have stood
 * still for memory for stall_us within window_us, at most once in a window: a
 * trigger of memory.pressure, psi_trigger_create. EINVAL: a window that is not
 * 500,000 to 10,000,000, or a stall that is 0 or longer than it. */
int umemcg_psi_fd(umemcg_group* group, int full, unsigned stall_us,
                  unsigned window_us);

/* Ends what the three above began. The descriptor stays open.
 *
 * 0, or -1 with errno:
 *   EBADF   no such descriptor
 *   ENODEV  the process is not accounted */
int umemcg_unlisten(int fd);

/* Peaks -------------------------------------------------------------------
 *
 * An open file of memory.peak: the most that was charged to the group ever, or
 * since this one was reset, whatever others do with theirs. (A write to
 * memory.peak by umemcg_set resets all of the group.) */

/* A number for the functions below, from 0 on, for this process: a forked child
 * in a domain opens its own. -1 with errno:
 *   ENOSPC  256 are open in the domain
 *   EBADF   not a handle
 *   EAGAIN  another process held the domain's lock for 2 s
 *   ENODEV  the group was removed, or the process is not accounted */
int umemcg_peak_open(umemcg_group* group);

/* Bytes; lock-free. -1 with errno:
 *   EBADF   not open
 *   ENODEV  the group was removed, or the process is not accounted */
int64_t umemcg_peak_read(int peak);

/* Begins anew, at what is charged now. 0, or -1 with errno: those two, or
 * EAGAIN as above. */
int umemcg_peak_reset(int peak);

/* 0, or -1 with errno: EBADF, EAGAIN, ENODEV as above. */
int umemcg_peak_close(int peak);

/* Out of memory -----------------------------------------------------------
 *
 * What happens when a charge has found nothing to reclaim is said by
 * memory.oom.policy of the group whose limit refused it: fail, kill, callback
 * or wait. */

/* Registers the function of the policy `callback`, one for the process; NULL:
 * none, and such a charge fails. It is called with that group (a borrowed
 * handle), how much was asked for, and `arg`, on the thread that asked; one
 * call at a time: a thread that finds it busy waits for its end or for room,
 * 500 ms at most, then fails. It returns nonzero if it has made room: the
 * charge is tried again (at most 16 times in a row without the group's usage
 * falling below what it was, and 256 times in all); 0: it fails.
 *
 * What a shrinker may and must not do holds for it as well, but that what it
 * allocates is charged to the process's own group. It may register another one
 * or none; else this function returns when no call of the former one is under
 * way.
 *
 * 0, or -1 with errno:
 *   EDEADLK the caller is in a shrinker, for whose end a call of the former
 *           function may wait, which has not ended for 500 ms
 *   ENODEV  the process is not accounted */
int umemcg_oom_callback(int (*callback)(umemcg_group* group, size_t bytes,
                                        void* arg),
                        void* arg);

#ifdef __cplusplus
}
#endif

#endif /* UMEMCG_UMEMCG_H */
