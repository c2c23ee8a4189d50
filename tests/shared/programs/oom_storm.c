/* oom_storm SECONDS SEED SHRINKER COUNTS: four threads that allocate, charge
 * and free at random until the time is up, in a group that is too small for
 * them, beside others like it. SHRINKER says how the process's cache is shrunk:
 * "plain"; "slow", which sleeps past its deadline; "elsewhere", by another
 * thread. Its out-of-memory callback (if that is the group's policy) empties
 * the cache.
 *
 * Then everything is given back and "done" printed. It ends when its standard
 * input does. In the file COUNTS it leaves, also when it is killed, five
 * numbers of 64 bits: operations, refusals, calls of the shrinker, calls of the
 * callback, and the longest operation in microseconds, without what its thread
 * waited for a processor. */

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <umemcg/umemcg.h>
#include <unistd.h>

enum {
  kThreads = 4,
  kBlocks = 64,
  kMostPerThread = 4 << 20,
  kBlob = 64 << 10,
  kBlobs = 48,
  kSlowMs = 200,
  kDeadlineMs = 50
};

static atomic_bool over;
static struct counts {
  atomic_ulong operations, refusals, scans, callbacks, longest_us;
} * counts;

static uint64_t now_ns(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/* The cache: blobs under a lock that is not held around an allocation. */

static pthread_mutex_t cache_lock = PTHREAD_MUTEX_INITIALIZER;
static void* cache[kBlobs];
static int cached;

static bool cache_put(void* blob) {
  pthread_mutex_lock(&cache_lock);
  const bool room = cached < kBlobs;
  if (room) cache[cached++] = blob;
  pthread_mutex_unlock(&cache_lock);
  return room;
}

static void* cache_take(void) {
  pthread_mutex_lock(&cache_lock);
  void* blob = cached > 0 ? cache[--cached] : NULL;
  pthread_mutex_unlock(&cache_lock);
  return blob;
}

static size_t cache_drop(size_t bytes) {
  size_t freed = 0;
  for (void* blob; freed < bytes && (blob = cache_take()); freed += kBlob) {
    free(blob);
  }
  return freed;
}

static size_t count_cache(umemcg_group* group, void* arg) {
  (void)group, (void)arg;
  pthread_mutex_lock(&cache_lock);
  const size_t bytes = (size_t)cached * kBlob;
  pthread_mutex_unlock(&cache_lock);
  return bytes;
}

static size_t scan_plainly(umemcg_group* group, size_t bytes, void* arg) {
  (void)group, (void)arg;
  ++counts->scans;
  free(malloc(1000));
  return cache_drop(bytes);
}

static size_t scan_slowly(umemcg_group* group, size_t bytes, void* arg) {
  const struct timespec pause = {0, kSlowMs * 1000000L};
  nanosleep(&pause, NULL);
  return scan_plainly(group, bytes, arg);
}

/* Another thread does it, which allocates on its way. */

static pthread_mutex_t job_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t job_changed = PTHREAD_COND_INITIALIZER;
static size_t job_bytes, job_freed;
static enum { kNoJob, kJob, kDone, kEnd } job;

static void* serve_jobs(void* arg) {
  pthread_mutex_lock(&job_lock);
  while (job != kEnd) {
    if (job == kJob) {
      void* block = malloc(100000);
      job_freed = cache_drop(job_bytes);
      free(block);
      job = kDone;
      pthread_cond_broadcast(&job_changed);
    }
    pthread_cond_wait(&job_changed, &job_lock);
  }
  pthread_mutex_unlock(&job_lock);
  return arg;
}

static size_t scan_elsewhere(umemcg_group* group, size_t bytes, void* arg) {
  (void)group, (void)arg;
  ++counts->scans;
  pthread_mutex_lock(&job_lock);
  job = kJob;
  job_bytes = bytes;
  pthread_cond_broadcast(&job_changed);
  while (job != kDone) pthread_cond_wait(&job_changed, &job_lock);
  const size_t freed = job_freed;
  pthread_mutex_unlock(&job_lock);
  return freed;
}

static int on_oom(umemcg_group* group, size_t bytes, void* arg) {
  (void)group, (void)bytes, (void)arg;
  ++counts->callbacks;
  return cache_drop(SIZE_MAX) != 0;
}

/* The threads. */

struct thread {
  uint64_t random;
  int schedstat;
  size_t held;
  unsigned char* blocks[kBlocks];
  size_t sizes[kBlocks];
  size_t charged;
};

static uint64_t next_random(struct thread* self) {
  self->random = self->random * 6364136223846793005u + 1442695040888963407u;
  return self->random >> 33;
}

/* How long the thread has waited for a processor; 0 if that is not told. */
static uint64_t delayed_ns(const struct thread* self) {
  char text[96];
  unsigned long long delay = 0;
  const ssize_t length = pread(self->schedstat, text, sizeof(text) - 1, 0);
  if (length > 0) {
    text[length] = '\0';
    sscanf(text, "%*u %llu", &delay);
  }
  return delay;
}

static void drop(struct thread* self, size_t i) {
  if (self->blocks[i] == NULL) return;
  if (self->blocks[i][0] != i ||
      self->blocks[i][self->sizes[i] - 1] != (unsigned char)~i) {
    puts("a block has changed");
    _exit(3);
  }
  free(self->blocks[i]);
  self->blocks[i] = NULL;
  self->held -= self->sizes[i];
}

static void take(struct thread* self, size_t i) {
  drop(self, i);
  const size_t size = 16 + next_random(self) % 200000;
  if (self->held + size > kMostPerThread) return;
  unsigned char* block = malloc(size);
  if (block == NULL) {
    ++counts->refusals;
    for (int n = 0; n < 4; ++n) drop(self, next_random(self) % kBlocks);
    return;
  }
  memset(block, 1, size);
  block[0] = (unsigned char)i;
  block[size - 1] = (unsigned char)~i;
  self->blocks[i] = block;
  self->sizes[i] = size;
  self->held += size;
}

static void charge(struct thread* self) {
  static const int kFlags[] = {0, UMEMCG_NOWAIT, UMEMCG_NORETRY,
                               UMEMCG_RETRY_MAYFAIL};
  umemcg_uncharge(NULL, UMEMCG_KMEM, self->charged);
  self->charged = next_random(self) % 100000;
  const int flags = kFlags[next_random(self) % 4];
  if (umemcg_charge(NULL, UMEMCG_KMEM, self->charged, flags) == 0) return;
  ++counts->refusals;
  self->charged = 0;
}

static void fill_cache(void) {
  void* blob = malloc(kBlob);
  if (blob == NULL) return;
  memset(blob, 1, kBlob);
  if (!cache_put(blob)) free(blob);
}

static void one_operation(struct thread* self) {
  const uint64_t which = next_random(self) % 20;
  if (which == 0) {
    charge(self);
  } else if (which < 4) {
    fill_cache();
  } else {
    take(self, next_random(self) % kBlocks);
  }
}

static void keep_longest(uint64_t us) {
  unsigned long longest = counts->longest_us;
  while (us > longest &&
         !atomic_compare_exchange_weak(&counts->longest_us, &longest, us)) {
  }
}

static void* storm(void* arg) {
  struct thread* self = arg;
  self->schedstat = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
  while (!over) {
    const uint64_t delayed = delayed_ns(self), began = now_ns();
    one_operation(self);
    const uint64_t took = now_ns() - began;
    const uint64_t waited = delayed_ns(self) - delayed;
    keep_longest(took > waited ? (took - waited) / 1000 : 0);
    ++counts->operations;
  }
  for (size_t i = 0; i < kBlocks; ++i) drop(self, i);
  umemcg_uncharge(NULL, UMEMCG_KMEM, self->charged);
  close(self->schedstat);
  return NULL;
}

static int join_shrinker(const char* which) {
  umemcg_shrinker described = {.size = sizeof(described),
                               .count = count_cache,
                               .scan = scan_plainly,
                               .name = which,
                               .deadline_ms = 10000};
  if (strcmp(which, "slow") == 0) {
    described.scan = scan_slowly;
    described.deadline_ms = kDeadlineMs;
  } else if (strcmp(which, "elsewhere") == 0) {
    described.scan = scan_elsewhere;
  }
  return umemcg_shrinker_register(NULL, &described);
}

static struct counts* map_counts(const char* path) {
  const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0 || ftruncate(fd, sizeof(struct counts)) != 0) return NULL;
  void* mapped = mmap(NULL, sizeof(struct counts), PROT_READ | PROT_WRITE,
                      MAP_SHARED, fd, 0);
  close(fd);
  return mapped != MAP_FAILED ? mapped : NULL;
}

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  counts = map_counts(argv[4]);
  if (counts == NULL) return 3;
  const unsigned seconds = (unsigned)atoi(argv[1]);
  static struct thread states[kThreads];
  pthread_t threads[kThreads], server;
  const int shrinker = join_shrinker(argv[3]);
  if (shrinker <= 0 || umemcg_oom_callback(on_oom, NULL) != 0) return 4;
  if (pthread_create(&server, NULL, serve_jobs, NULL) != 0) return 5;
  for (int i = 0; i < kThreads; ++i) {
    states[i].random = strtoull(argv[2], NULL, 10) * kThreads + (unsigned)i;
    if (pthread_create(&threads[i], NULL, storm, &states[i]) != 0) return 5;
  }
  for (unsigned left = seconds; left > 0;) left = sleep(left);
  over = true;
  for (int i = 0; i < kThreads; ++i) pthread_join(threads[i], NULL);
  if (umemcg_shrinker_unregister(shrinker) != 0) return 6;
  pthread_mutex_lock(&job_lock);
  job = kEnd;
  pthread_cond_broadcast(&job_changed);
  pthread_mutex_unlock(&job_lock);
  pthread_join(server, NULL);
  cache_drop(SIZE_MAX);
  malloc_trim(0);
  puts("done");
  fflush(stdout);
  while (getchar() != EOF) {
  }
  return 0;
}
