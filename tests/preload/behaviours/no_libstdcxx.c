// A plain C program stays one: no libstdc++ is loaded into it, and at exit it
// has no more than the main thread.

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/preload/behaviours/support.h"

static char text[1 << 20];

static void ReadAll(const char* path) {
  int file = open(path, O_RDONLY | O_CLOEXEC);
  CHECK(file >= 0);
  size_t size = 0;
  for (;;) {
    ssize_t got = read(file, text + size, sizeof(text) - 1 - size);
    CHECK(got >= 0);
    if (got <= 0) break;
    size += (size_t)got;
  }
  text[size] = '\0';
  close(file);
}

int main(void) {
  free(malloc(100));
  free(malloc(5 * MIB));
  ReadAll("/proc/self/maps");
  CHECK(strstr(text, "libc.so") != NULL);
  CHECK(strstr(text, "libstdc++") == NULL);
  CHECK(strstr(text, "libgcc_s") == NULL);
  // Neither heap is writable and executable.
  CHECK(strstr(text, "rwxp") == NULL);
  ReadAll("/proc/self/status");
  CHECK(strstr(text, "\nThreads:\t1\n") != NULL);
  return 0;
}
