/* A program that lives as it is told, a stage at a time: it says where it is,
 * and goes on when it gets a line. Whoever runs it looks at what is charged. */

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { kMiB = 1 << 20, kBlock = 1 << 16 };

static const char* self;

static void stage(const char* name) {
  char line[128];
  int length = snprintf(line, sizeof(line), "%s %d\n", name, (int)getpid());
  if (write(1, line, (size_t)length) != length) _exit(2);
  char c;
  do {
    if (read(0, &c, 1) != 1) _exit(2);
  } while (c != '\n');
}

/* Never given back. Returns what it got. */
static size_t take(size_t bytes) {
  size_t got = 0;
  while (got < bytes) {
    char* block = malloc(kBlock);
    if (block == NULL) break;
    memset(block, 1, kBlock);
    got += kBlock;
  }
  return got;
}

static void wait_for(pid_t pid) {
  int status = 0;
  if (waitpid(pid, &status, 0) != pid || status != 0) _exit(3);
}

static void forked_child(pid_t pid) {
  if (pid < 0) _exit(4);
  if (pid == 0) {
    take(10 * kMiB);
    stage("child");
    _exit(0);
  }
  wait_for(pid);
  stage("alone");
}

static int fork_mode(void) {
  take(20 * kMiB);
  stage("before");
  forked_child(fork());
  return 0;
}

static int clone_mode(void) {
  take(20 * kMiB);
  stage("before");
  forked_child((pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
  return 0;
}

static int hold_mode(void) {
  take(10 * kMiB);
  stage("child");
  return 0;
}

static int vfork_mode(void) {
  take(20 * kMiB);
  stage("before");
  pid_t pid = vfork();
  if (pid == 0) {
    execl(self, self, "hold", (char*)NULL);
    _exit(5);
  }
  wait_for(pid);
  stage("alone");
  return 0;
}

static int spawn_mode(void) {
  take(20 * kMiB);
  stage("before");
  extern char** environ;
  char* arguments[] = {(char*)self, (char*)"hold", NULL};
  pid_t pid;
  if (posix_spawn(&pid, self, NULL, NULL, arguments, environ) != 0) return 5;
  wait_for(pid);
  stage("alone");
  return 0;
}

static int daemon_mode(void) {
  take(20 * kMiB);
  stage("before");
  if (fork() != 0) _exit(0);
  setsid();
  if (fork() != 0) _exit(0);
  stage("daemon");
  take(10 * kMiB);
  stage("more");
  return 0;
}

static int exec_mode(void) {
  take(20 * kMiB);
  stage("before");
  execl(self, self, "hold", (char*)NULL);
  return 5;
}

static int close_mode(void) {
  take(20 * kMiB);
  if (syscall(SYS_close_range, 3, ~0u, 0) != 0) return 77;
  stage("before");
  take(10 * kMiB);
  stage("more");
  return 0;
}

static int closefrom_mode(void) {
  take(20 * kMiB);
  for (int fd = 3; fd < 4096; ++fd) close(fd);
  stage("before");
  take(10 * kMiB);
  stage("more");
  return 0;
}

static int plain_mode(void) {
  take(20 * kMiB);
  stage("before");
  return 0;
}

/* malloc until NULL, fork, exit, again: each one says what it got. */
static int generations_mode(void) {
  for (int i = 0; i < 8; ++i) {
    printf("%zu\n", take((size_t)1 << 30));
    fflush(stdout);
    pid_t pid = fork();
    if (pid < 0) return 4;
    if (pid != 0) _exit(0);
  }
  stage("last");
  return 0;
}

int main(int argc, char** argv) {
  static const struct {
    const char* name;
    int (*function)(void);
  } modes[] = {
      {"fork", fork_mode},
      {"clone", clone_mode},
      {"hold", hold_mode},
      {"vfork", vfork_mode},
      {"spawn", spawn_mode},
      {"daemon", daemon_mode},
      {"exec", exec_mode},
      {"close_range", close_mode},
      {"close", closefrom_mode},
      {"plain", plain_mode},
      {"generations", generations_mode},
  };
  self = "/proc/self/exe";
  for (size_t i = 0; argc == 2 && i < sizeof(modes) / sizeof(*modes); ++i) {
    if (strcmp(argv[1], modes[i].name) == 0) return modes[i].function();
  }
  return 64;
}
