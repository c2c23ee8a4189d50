#include "tests/preload/behaviours/support.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// umemcg_get of include/umemcg/umemcg.h, looked up so that the programs also
// run without the library.
typedef ssize_t UmemcgGet(void* group, const char* file, char* buf,
                          size_t size);

static void Put(int descriptor, const char* text, size_t size) {
  while (size > 0) {
    ssize_t wrote = write(descriptor, text, size);
    if (wrote <= 0) return;
    text += wrote;
    size -= (size_t)wrote;
  }
}

void Say(const char* format, ...) {
  char text[400];
  va_list arguments;
  va_start(arguments, format);
  int size = vsnprintf(text, sizeof(text), format, arguments);
  va_end(arguments);
  if (size > 0) Put(1, text, strlen(text));
}

void CheckAt(bool ok, const char* file, int line, const char* text) {
  if (ok) return;
  int error = errno;
  Say("FAIL %s:%d: %s (errno %d)\n", file, line, text, error);
  _exit(1);
}

void Skip(const char* why) {
  Say("SKIP: %s\n", why);
  _exit(kSkipped);
}

void Deadline(unsigned seconds) { alarm(seconds); }

size_t Fill(struct Ballast** ballast, size_t size) {
  const size_t kMost = 1024 * MIB;
  size_t count = 0;
  for (;;) {
    errno = EINVAL;
    struct Ballast* block = malloc(size);
    if (block == NULL) break;
    memset(block, 0x11, size);
    block->next = *ballast;
    *ballast = block;
    count++;
    if (count * size > kMost) {
      Say("FAIL: no limit below %zu bytes\n", kMost);
      _exit(1);
    }
  }
  CHECK(errno == ENOMEM);
  return count;
}

void FillToTheBrim(struct Ballast** ballast) {
  // More than once, since a refusal may open the emergency reserve.
  for (int round = 0; round < 3; round++) {
    for (size_t size = MIB; size >= 16; size /= 2) Fill(ballast, size);
  }
}

void Drop(struct Ballast** ballast) {
  while (*ballast != NULL) {
    struct Ballast* next = (*ballast)->next;
    free(*ballast);
    *ballast = next;
  }
}

long long Figure(const char* file) {
  void* found = dlsym(RTLD_DEFAULT, "umemcg_get");
  if (found == NULL) return -1;
  UmemcgGet* get = (UmemcgGet*)(uintptr_t)found;
  char text[64];
  ssize_t size = get(NULL, file, text, sizeof(text) - 1);
  CHECK(size > 0 && (size_t)size < sizeof(text));
  text[size] = '\0';
  char* end = NULL;
  long long value = strtoll(text, &end, 10);
  CHECK(end != text);
  return value;
}

long long StatusKb(const char* key) {
  char text[8192];
  int status = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
  CHECK(status >= 0);
  ssize_t size = read(status, text, sizeof(text) - 1);
  close(status);
  CHECK(size > 0);
  text[size] = '\0';
  const char* line = strstr(text, key);
  CHECK(line != NULL);
  return line == NULL ? -1 : strtoll(line + strlen(key) + 1, NULL, 10);
}

void FillPattern(void* block, size_t size, unsigned seed) {
  unsigned char* bytes = block;
  for (size_t i = 0; i < size; i++) bytes[i] = (unsigned char)(i * 7 + seed);
}

bool HasPattern(const void* block, size_t size, unsigned seed) {
  const unsigned char* bytes = block;
  for (size_t i = 0; i < size; i++) {
    if (bytes[i] != (unsigned char)(i * 7 + seed)) return false;
  }
  return true;
}

unsigned NextRandom(unsigned* state) {
  *state = *state * 1103515245u + 12345u;
  return *state >> 8;
}
