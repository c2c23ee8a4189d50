/* umemcg_get and umemcg_set, driven from stdin: a line "GROUP FILE" reads,
 * "GROUP FILE =HEX" writes those bytes. The answer to each is "ERRNO HEX", what
 * was read. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "umemcg/umemcg.h"

static char content[1 << 16];

static void put_hex(const char* bytes, size_t length) {
  for (size_t i = 0; i < length; ++i) {
    printf("%02x", (unsigned char)bytes[i]);
  }
}

/* Into `out`, which is as large as the text. */
static void take_hex(const char* text, char* out) {
  unsigned byte;
  for (; sscanf(text, "%2x", &byte) == 1; text += 2) *out++ = (char)byte;
  *out = '\0';
}

static void answer(umemcg_group* group, const char* file, const char* hex) {
  char value[1024];
  ssize_t length = 0;
  errno = 0;
  if (group != NULL && hex != NULL) {
    take_hex(hex, value);
    if (umemcg_set(group, file, value) == 0) errno = 0;
  } else if (group != NULL) {
    length = umemcg_get(group, file, content, sizeof(content));
    if (length >= 0) errno = 0;
  }
  printf("%d ", errno);
  put_hex(content, length > 0 ? (size_t)length : 0);
  putchar('\n');
  fflush(stdout);
}

int main(void) {
  char line[2048], path[512], file[128], hex[1024];
  while (fgets(line, sizeof(line), stdin) != NULL) {
    const int words = sscanf(line, "%511s %127s =%1023s", path, file, hex);
    if (words < 2) return 1;
    /* (An empty value: only the sign is there.) */
    const char* value = words == 3 ? hex : strchr(line, '=') ? "" : NULL;
    umemcg_group* group = umemcg_group_open(path, 0);
    answer(group, file, value);
    umemcg_group_close(group);
  }
  return 0;
}
