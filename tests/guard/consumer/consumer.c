/* Links -lumemcg as any program may, and reads its own group. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <umemcg/umemcg.h>

enum { kBytes = 1 << 20 };

int main(void) {
  char text[64];
  char* block = malloc(kBytes);
  if (block == NULL) return 1;
  memset(block, 1, kBytes);
  if (umemcg_get(NULL, "memory.current", text, sizeof(text)) < 0) {
    perror("umemcg_get");
    return 1;
  }
  printf("%s", text);
  free(block);
  return strtoll(text, NULL, 10) >= kBytes ? 0 : 1;
}
