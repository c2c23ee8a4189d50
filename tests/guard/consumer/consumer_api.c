/* Runs with or without libumemcg.so: prints its own memory.current, or why it
 * has none. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <umemcg/umemcg.h>

int main(void) {
  char text[64];
  if (umemcg_get(NULL, "memory.current", text, sizeof(text)) < 0) {
    printf("%s\n", strerror(errno));
  } else {
    printf("%s", text);
  }
  return 0;
}
