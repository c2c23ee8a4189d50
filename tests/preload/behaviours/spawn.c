// The other ways to make a process: vfork, posix_spawn, system, popen, and a
// child that execs a preloaded program; the parent's heap is none the worse.

#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/preload/behaviours/support.h"

extern char** environ;

static void ExpectExit(pid_t child, int expected) {
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == expected);
}

static void Vfork(void) {
  pid_t child = vfork();
  if (child == 0) {
    execl("/bin/sh", "sh", "-c", "exit 7", (char*)NULL);
    _exit(1);
  }
  CHECK(child > 0);
  ExpectExit(child, 7);
}

static void VforkOfNoProgram(void) {
  pid_t child = vfork();
  if (child == 0) {
    execl("/no/such/program", "no", (char*)NULL);
    _exit(9);
  }
  CHECK(child > 0);
  ExpectExit(child, 9);
}

static void PosixSpawn(void) {
  char* arguments[] = {"sh", "-c", "exit 5", NULL};
  pid_t child = 0;
  CHECK(posix_spawn(&child, "/bin/sh", NULL, NULL, arguments, environ) == 0);
  ExpectExit(child, 5);
  CHECK(posix_spawn(&child, "/no/such/program", NULL, NULL, arguments,
                    environ) == ENOENT);
}

static void SystemAndPopen(void) {
  CHECK(system("exit 3") == 3 << 8);
  FILE* pipe = popen("printf 'one two'", "r");
  CHECK(pipe != NULL);
  char text[32] = "";
  CHECK(fgets(text, sizeof(text), pipe) != NULL);
  CHECK(strcmp(text, "one two") == 0);
  CHECK(pclose(pipe) == 0);
}

static void ForkAndExec(void) {
  pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    free(malloc(3 * MIB));
    execl("/bin/sh", "sh", "-c", "exit 6", (char*)NULL);
    _exit(1);
  }
  ExpectExit(child, 6);
}

int main(void) {
  Deadline(30);
  char* block = malloc(2 * MIB);
  CHECK(block != NULL);
  FillPattern(block, 2 * MIB, 3);
  for (int i = 0; i < 25; i++) {
    Vfork();
    VforkOfNoProgram();
    PosixSpawn();
    SystemAndPopen();
    ForkAndExec();
    CHECK(HasPattern(block, 2 * MIB, 3));
    free(malloc(100000));
  }
  free(block);
  return 0;
}
